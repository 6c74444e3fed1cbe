//! What one visitor does, with every answer checked: that it is whole, right, and an answer to this request.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use postern_tests::{
    Client, Reply,
    clients::BIOMETRIC,
    enrollment::{PASSWORD, cookie_of, public_key},
};
use serde_json::{Value, json};

use crate::people::{Device, Invited, Member};

/// How a failure begins that is the right answer to somebody else.
pub(crate) const STRAY: &str = "an answer to another request";

/// One call, and what was wrong with its answer.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) step: &'static str,
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    /// Of an answer.
    pub(crate) status: Option<u16>,
    pub(crate) failure: Option<String>,
}

/// What Core does for a visitor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    LoggedIn { login: String },
    Approved { login: String },
    Enrolled { login: String },
}

/// A visitor, and what became of its calls. The first failure ends a visit.
#[derive(Debug)]
pub(crate) struct Visit {
    client: Client,
    pub(crate) samples: Vec<Sample>,
    /// Asked for, answered or not: each may have happened once.
    pub(crate) asked: Vec<Effect>,
    /// Answered: each has happened.
    pub(crate) told: Vec<Effect>,
}

impl Visit {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, samples: Vec::new(), asked: Vec::new(), told: Vec::new() }
    }

    /// A device asks for its configuration, and gets its own.
    pub(crate) async fn poll(mut self, device: &Device) -> Self {
        let body = json!({ "token": device.polling_token });
        let own = |body: Value| is_text(&body, "/device_config/device/pubkey", &device.public_key);
        // What was wrong stands in the sample.
        self.post("poll", "/api/v1/poll", &body, own).await.ok();
        self
    }

    /// A phone logs in with a finger.
    pub(crate) async fn log_in(mut self, member: &Member) -> Self {
        self.try_log_in(member).await.ok();
        self
    }

    /// Somebody with a token enrolls, with a device and a password.
    pub(crate) async fn enroll(mut self, invited: &Invited) -> Self {
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
    pub(crate) async fn begin_login(&mut self, device: &Device, method: i32) -> Result<(String, String)> {
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
    pub(crate) async fn post<T>(
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
    pub(crate) fn note<T>(&mut self, step: &'static str, at: Instant, took: Duration, outcome: Result<T>) -> Result<T> {
        let failure = outcome.as_ref().err().map(|error| format!("{error:#}"));
        self.samples.push(Sample { step, at, took, status: None, failure });
        outcome
    }
}

/// A WireGuard key of 32 bytes.
pub(crate) fn is_key(body: &Value) -> Result<()> {
    let key = text(body, "/preshared_key")?;
    ensure!(STANDARD.decode(&key).is_ok_and(|key| key.len() == 32), "no key");
    Ok(())
}

pub(crate) fn is_text(body: &Value, pointer: &str, expected: &str) -> Result<()> {
    let found = text(body, pointer)?;
    ensure!(found == expected, "{STRAY}: {pointer} is {found}, not {expected}");
    Ok(())
}

pub(crate) fn text(body: &Value, pointer: &str) -> Result<String> {
    Ok(body.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in {body}"))?.to_owned())
}
