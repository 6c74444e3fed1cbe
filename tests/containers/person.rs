//! One person at a terminal, with curl: enrolls through the published port, logs in with a second factor, and polls.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use postern_tests::{
    Authenticator, Curl,
    authenticator::{STEP, step_now},
    enrollment::{PASSWORD, public_key},
    eventually,
};
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct Person {
    curl: Curl,
    public_key: String,
    authenticator: Authenticator,
    polling_token: String,
    location: Value,
    /// Each code works once.
    last_code: u64,
}

impl Person {
    /// Every step from the token to a device that polls, with an authenticator app.
    pub(crate) async fn enroll(public_url: &str, token: &str, jar: &Path) -> Result<Self> {
        let curl = Curl::new(public_url, jar);
        post(&curl, "/api/v1/enrollment/start", &json!({ "token": token })).await?;
        let key = public_key()?;
        let device = json!({ "name": "laptop", "pubkey": key });
        let created = post(&curl, "/api/v1/enrollment/create_device", &device).await?;
        let method = json!({ "method": "Totp" });
        let factor = post(&curl, "/api/v1/enrollment/register-mfa/code/start", &method).await?;
        let authenticator = Authenticator::new(text(&factor, "/totp_secret")?)?;
        let code = json!({ "method": "Totp", "code": authenticator.code_before().await? });
        post(&curl, "/api/v1/enrollment/register-mfa/code/finish", &code).await?;
        let password = json!({ "password": PASSWORD });
        post(&curl, "/api/v1/enrollment/activate_user", &password).await?;
        Ok(Self {
            public_key: key,
            authenticator,
            polling_token: text(&created, "/token")?.to_owned(),
            location: created.pointer("/configs/0/network_id").context("the device has no location")?.clone(),
            last_code: 0,
            curl,
        })
    }

    /// A whole login: what the app shows opens the location.
    pub(crate) async fn log_in(&mut self) -> Result<()> {
        eventually("the app shows another code", STEP, || async { step_now() > self.last_code }).await?;
        let device = json!({ "location_id": self.location, "pubkey": self.public_key, "method": 0 });
        let begun = post(&self.curl, "/api/v1/client-mfa/start", &device).await?;
        self.last_code = step_now();
        let code = json!({ "token": text(&begun, "/token")?, "code": self.authenticator.code_of(self.last_code) });
        let finished = post(&self.curl, "/api/v1/client-mfa/finish", &code).await?;
        text(&finished, "/preshared_key").map(drop)
    }

    /// The device asks for its configuration, and gets its own.
    pub(crate) async fn poll(&self) -> Result<()> {
        let polled = post(&self.curl, "/api/v1/poll", &json!({ "token": self.polling_token })).await?;
        let found = text(&polled, "/device_config/device/pubkey")?;
        ensure!(found == self.public_key, "the configuration of another device");
        Ok(())
    }
}

async fn post(curl: &Curl, path: &str, body: &Value) -> Result<Value> {
    let (status, answer) = curl.post(path, body).await?;
    ensure!(status == 200, "{path}: {status} {answer}");
    Ok(answer)
}

fn text<'a>(body: &'a Value, pointer: &str) -> Result<&'a str> {
    body.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer}"))
}
