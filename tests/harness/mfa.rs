//! The second factor of a person: set up during enrollment, and shown when a device wants into a location.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    Authenticator, Client, Reply,
    enrollment::{Enrollment, PASSWORD, public_key},
};

/// `MfaMethod::Totp` on the wire.
pub const TOTP: i32 = 0;

/// What a person has after the set-up.
#[derive(Debug, Clone)]
pub struct SecondFactor {
    pub authenticator: Authenticator,
    /// The seed as it was shown, in base32.
    pub seed: String,
    /// The code that finished the set-up.
    pub set_up_code: String,
    pub recovery_codes: Vec<String>,
}

/// A person who has enrolled with a second factor and one device.
#[derive(Debug, Clone)]
pub struct Member {
    pub cookie: String,
    pub factor: SecondFactor,
    pub device: Device,
}

/// A device in one location.
#[derive(Debug, Clone)]
pub struct Device {
    pub public_key: String,
    pub polling_token: String,
    pub location: i64,
}

impl SecondFactor {
    /// Both steps, with the code of the 30 seconds before: a login right behind needs a newer one.
    pub async fn set_up(enrollment: &Enrollment) -> Result<Self> {
        let seed = begin_set_up(enrollment).await?;
        let authenticator = Authenticator::new(&seed)?;
        let set_up_code = authenticator.code_before().await?;
        let recovery_codes = finish_set_up(enrollment, &set_up_code).await?;
        Ok(Self { authenticator, seed, set_up_code, recovery_codes })
    }
}

impl Member {
    /// Every step from the token to a person who can log in.
    pub async fn enroll(client: &Client, token: &str) -> Result<Self> {
        let enrollment = Enrollment::start(client, token).await?;
        let factor = SecondFactor::set_up(&enrollment).await?;
        let device = Device::create(&enrollment, "laptop").await?;
        let reply = enrollment.activate_user(PASSWORD).await?;
        ensure!(reply.status == 200, "activate_user: {reply:?}");
        Ok(Self { cookie: enrollment.cookie, factor, device })
    }

    /// A whole login with what the app shows now. The answer to its last step, whatever that is.
    pub async fn log_in(&self, client: &Client) -> Result<Reply> {
        let session = self.device.begin_login(client).await?;
        finish_login(client, &session, &self.factor.authenticator.code()).await
    }
}

impl Device {
    pub async fn create(enrollment: &Enrollment, name: &str) -> Result<Self> {
        let key = public_key()?;
        let reply = enrollment.create_device(name, &key).await?;
        ensure!(reply.status == 200, "create_device: {reply:?}");
        let body = reply.json()?;
        let polling_token = body["token"].as_str().context("create_device gave no polling token")?.to_owned();
        let location = body["configs"][0]["network_id"].as_i64().context("the device has no location")?;
        Ok(Self { public_key: key, polling_token, location })
    }

    /// `client-mfa/start` by authenticator app.
    pub async fn start_login(&self, client: &Client) -> Result<Reply> {
        let body = json!({ "location_id": self.location, "pubkey": self.public_key, "method": TOTP });
        client.post("/api/v1/client-mfa/start", &body).await
    }

    /// The token of a login that must begin.
    pub async fn begin_login(&self, client: &Client) -> Result<String> {
        let reply = self.start_login(client).await?;
        ensure!(reply.status == 200, "client-mfa/start: {reply:?}");
        text(&reply.json()?, "token")
    }

    pub async fn poll(&self, client: &Client) -> Result<Reply> {
        client.post("/api/v1/poll", &json!({ "token": self.polling_token })).await
    }
}

/// `register-mfa/code/start`, which must succeed: the seed in base32.
pub async fn begin_set_up(enrollment: &Enrollment) -> Result<String> {
    let reply = enrollment.post("/api/v1/enrollment/register-mfa/code/start", &json!({ "method": "Totp" })).await?;
    ensure!(reply.status == 200, "register-mfa/code/start: {reply:?}");
    text(&reply.json()?, "totp_secret")
}

/// `register-mfa/code/finish`, which must succeed: the recovery codes.
pub async fn finish_set_up(enrollment: &Enrollment, code: &str) -> Result<Vec<String>> {
    let body = json!({ "code": code, "method": "Totp" });
    let reply = enrollment.post("/api/v1/enrollment/register-mfa/code/finish", &body).await?;
    ensure!(reply.status == 200, "register-mfa/code/finish: {reply:?}");
    serde_json::from_value(reply.json()?["recovery_codes"].take()).context("no list of recovery codes")
}

/// `client-mfa/finish` with a code of either kind.
pub async fn finish_login(client: &Client, session: &str, code: &str) -> Result<Reply> {
    client.post("/api/v1/client-mfa/finish", &json!({ "token": session, "code": code })).await
}

fn text(body: &Value, field: &str) -> Result<String> {
    Ok(body[field].as_str().with_context(|| format!("no {field} in {body}"))?.to_owned())
}
