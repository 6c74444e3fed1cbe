//! How a desktop gets into a location: by a code, through the browser, or by a phone that says yes.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    Instance, Location, MOBILE_APPROVE, Waiting,
    answer::{self, text},
    caller::Caller,
    posture,
};
use crate::Reply;

/// How often a desktop asks whether the browser is done.
const BROWSER_PAUSE: Duration = Duration::from_secs(5);
const BROWSER_PATIENCE: Duration = Duration::from_secs(300);

/// A login under way.
#[derive(Debug, Clone)]
pub struct Login {
    pub token: String,
    /// What a phone signs.
    pub challenge: Option<String>,
}

/// What the end of a login said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// In base64.
    PresharedKey(String),
    /// The browser is not done yet.
    NotYet,
}

/// The logins of one device.
#[derive(Debug)]
pub struct Logins<'a> {
    caller: &'a mut Caller,
    instance: &'a Instance,
    /// Newer clients tell how the machine is at locations that ask for it.
    tells_posture: bool,
}

impl<'a> Logins<'a> {
    pub(super) fn of_an_older_client(caller: &'a mut Caller, instance: &'a Instance) -> Self {
        Self { caller, instance, tells_posture: false }
    }

    pub(super) fn of_a_newer_client(caller: &'a mut Caller, instance: &'a Instance) -> Self {
        Self { caller, instance, tells_posture: true }
    }

    pub async fn start(&mut self, location: &Location, method: i32) -> Result<Login> {
        let mut body = json!({ "location_id": location.id, "pubkey": self.instance.public_key, "method": method });
        if self.tells_posture && location.needs_posture {
            body["posture_data"] = posture::of_a_laptop();
        }
        let read = |reply: &Reply| {
            let body = answer::ok(reply, &["/token"])?;
            let challenge = body["challenge"].as_str().map(str::to_owned);
            ensure!(method != MOBILE_APPROVE || challenge.is_some(), "no challenge for a phone: {body}");
            Ok(Login { token: text(&body, "/token")?, challenge })
        };
        let url = self.url("client-mfa/start");
        self.caller.post("client-mfa/start", &url, &body, read).await
    }

    /// With a code of six digits, or whatever stands for one: the preshared key.
    pub async fn finish(&mut self, login: &Login, code: &str) -> Result<String> {
        let body = json!({ "token": login.token, "code": code });
        let url = self.url("client-mfa/finish");
        self.caller.post("client-mfa/finish", &url, &body, preshared_key).await
    }

    /// The text of a refusal with this status.
    pub async fn refused(&mut self, login: &Login, code: &str, status: u16) -> Result<String> {
        let body = json!({ "token": login.token, "code": code });
        let url = self.url("client-mfa/finish");
        let read = |reply: &Reply| {
            ensure!(reply.status == status, "status {}: {:?}", reply.status, reply.body);
            answer::error(reply)
        };
        self.caller.post("client-mfa/finish", &url, &body, read).await
    }

    /// Whether the browser is done, once: 428 is "not yet", and anything else but a key ends the login.
    pub async fn ask(&mut self, login: &Login) -> Result<Finished> {
        let url = self.url("client-mfa/finish");
        let read = |reply: &Reply| match reply.status {
            428 => Ok(Finished::NotYet),
            _ => preshared_key(reply).map(Finished::PresharedKey),
        };
        self.caller.post("client-mfa/finish", &url, &json!({ "token": login.token }), read).await
    }

    /// Asks until the browser is done, as often as desktops do.
    pub async fn wait_for_browser(&mut self, login: &Login) -> Result<String> {
        let asking = async {
            loop {
                match self.ask(login).await? {
                    Finished::PresharedKey(key) => return Ok(key),
                    Finished::NotYet => tokio::time::sleep(BROWSER_PAUSE).await,
                }
            }
        };
        tokio::time::timeout(BROWSER_PATIENCE, asking).await.context("nobody finished in the browser")?
    }

    /// Opens the websocket on which the phone's word arrives.
    pub async fn wait_for_phone(&mut self, login: &Login) -> Result<Waiting> {
        Waiting::open(self.caller, &self.instance.proxy_url, &login.token).await
    }

    /// What arrives on it.
    pub async fn key_of(&mut self, waiting: Waiting) -> Result<String> {
        waiting.key(self.caller).await
    }

    /// What the screen shows for a phone to scan: base64 of JSON.
    pub fn qr_code(&self, login: &Login) -> Result<String> {
        let Some(challenge) = &login.challenge else { bail!("no challenge") };
        let shown = json!({ "token": login.token, "challenge": challenge, "instance_id": self.instance.id });
        Ok(STANDARD.encode(shown.to_string()))
    }

    fn url(&self, route: &str) -> String {
        format!("{}api/v1/{route}", self.instance.proxy_url)
    }
}

/// A key of 32 bytes.
pub(super) fn preshared_key(reply: &Reply) -> Result<String> {
    let body = answer::ok(reply, &["/preshared_key"])?;
    let key = text(&body, "/preshared_key")?;
    ensure!(STANDARD.decode(&key).is_ok_and(|key| key.len() == 32), "no WireGuard key: {body}");
    Ok(key)
}
