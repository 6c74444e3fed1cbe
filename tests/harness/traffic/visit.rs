//! What one visitor does, with every answer checked: that it is whole, right, and an answer to this request.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::people::{Device, Invited, Member};
use crate::{
    Client, Reply,
    clients::BIOMETRIC,
    enrollment::{PASSWORD, cookie_of, public_key},
};

/// How a failure begins that is the right answer to somebody else.
pub const STRAY: &str = "an answer to another request";

/// One call, and what was wrong with its answer.
#[derive(Debug, Clone)]
pub struct Sample {
    pub step: &'static str,
    pub at: Instant,
    pub took: Duration,
    /// Of an answer.
    pub status: Option<u16>,
    pub failure: Option<String>,
}

/// What Core does for a visitor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    LoggedIn { login: String },
    Approved { login: String },
    Enrolled { login: String },
}

/// A visitor, and what became of its calls. The first failure ends a visit.
#[derive(Debug)]
pub struct Visit {
    client: Client,
    pub samples: Vec<Sample>,
    /// Asked for, answered or not: each may have happened once.
    pub asked: Vec<Effect>,
    /// Answered: each has happened.
    pub told: Vec<Effect>,
}

impl Visit {
    pub fn new(client: Client) -> Self {
        Self { client, samples: Vec::new(), asked: Vec::new(), told: Vec::new() }
    }

    /// A device asks for its configuration, and gets its own.
    pub async fn poll(mut self, device: &Device) -> Self {
        let body = json!({ "token": device.polling_token });
        let own = |body: Value| is_text(&body, "/device_config/device/pubkey", &device.public_key);
        // What was wrong stands in the sample.
        self.post("poll", "/api/v1/poll", &body, own).await.ok();
        self
    }

    /// A phone logs in with a finger.
    pub async fn log_in(mut self, member: &Member) -> Self {
        self.try_log_in(member).await.ok();
        self
    }

    /// Somebody with a token enrolls, with a device and a password.
    pub async fn enroll(mut self, invited: &Invited) -> Self {
        self.try_enroll(invited).await.ok();
        self
    }

    async fn try_log_in(&mut self, member: &Member) -> Result<()> {
        let (token, challenge) = self.begin_login(&member.phone, BIOMETRIC).await?;
        let proof = json!({ "token": token, "code": member.sign(&challenge) });
        let effect = Effect::LoggedIn { login: member.login.clone() };
        self.asked.push(effect.clone());
        self.post("client-mfa/finish", "/api/v1/client-mfa/finish", &proof, |body| is_key(&body)).await?;
        self.told.push(effect);
        Ok(())
    }

    /// Token and challenge.
    pub async fn begin_login(&mut self, device: &Device, method: i32) -> Result<(String, String)> {
        let body = json!({ "location_id": device.location, "pubkey": device.public_key, "method": method });
        let read = |body: Value| Ok((text(&body, "/token")?, text(&body, "/challenge")?));
        self.post("client-mfa/start", "/api/v1/client-mfa/start", &body, read).await
    }

    async fn try_enroll(&mut self, invited: &Invited) -> Result<()> {
        let effect = Effect::Enrolled { login: invited.login.clone() };
        self.asked.push(effect.clone());
        let token = json!({ "token": invited.token });
        let cookie = self
            .exchange("enrollment/start", "/api/v1/enrollment/start", &token, |reply| {
                is_text(&reply.json()?, "/user/login", &invited.login)?;
                cookie_of(reply).context("no cookie")
            })
            .await?;
        self.client = self.client.clone().with_header("cookie", &cookie);
        let key = public_key()?;
        let device = json!({ "name": "laptop", "pubkey": key });
        self.post("create_device", "/api/v1/enrollment/create_device", &device, |body| {
            is_text(&body, "/device/pubkey", &key)?;
            text(&body, "/token")
        })
        .await?;
        let password = json!({ "password": PASSWORD, "phone_number": null });
        self.post("activate_user", "/api/v1/enrollment/activate_user", &password, |_| Ok(())).await?;
        self.told.push(effect);
        Ok(())
    }

    /// The body of a 200, read by `read`.
    pub async fn post<T>(
        &mut self,
        step: &'static str,
        path: &str,
        body: &Value,
        read: impl FnOnce(Value) -> Result<T>,
    ) -> Result<T> {
        self.exchange(step, path, body, |reply| read(reply.json()?)).await
    }

    async fn exchange<T>(
        &mut self,
        step: &'static str,
        path: &str,
        body: &Value,
        read: impl FnOnce(&Reply) -> Result<T>,
    ) -> Result<T> {
        let at = Instant::now();
        let reply = self.client.post(path, body).await;
        let took = at.elapsed();
        let status = reply.as_ref().ok().map(|reply| reply.status);
        let outcome = reply.and_then(|reply| {
            ensure!(reply.status == 200, "status {}: {}", reply.status, String::from_utf8_lossy(&reply.body));
            read(&reply)
        });
        let failure = outcome.as_ref().err().map(|error| format!("{error:#}"));
        self.samples.push(Sample { step, at, took, status, failure });
        outcome
    }

    /// A step that is no plain call.
    pub fn note<T>(&mut self, step: &'static str, at: Instant, took: Duration, outcome: Result<T>) -> Result<T> {
        let failure = outcome.as_ref().err().map(|error| format!("{error:#}"));
        self.samples.push(Sample { step, at, took, status: None, failure });
        outcome
    }
}

/// A WireGuard key of 32 bytes.
pub fn is_key(body: &Value) -> Result<()> {
    let key = text(body, "/preshared_key")?;
    ensure!(STANDARD.decode(&key).is_ok_and(|key| key.len() == 32), "no key");
    Ok(())
}

pub fn is_text(body: &Value, pointer: &str, expected: &str) -> Result<()> {
    let found = text(body, pointer)?;
    ensure!(found == expected, "{STRAY}: {pointer} is {found}, not {expected}");
    Ok(())
}

pub fn text(body: &Value, pointer: &str) -> Result<String> {
    Ok(body.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in {body}"))?.to_owned())
}
