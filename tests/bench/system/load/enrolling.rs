//! Everybody who was invited enrolls once, with a device, an authenticator app and a password.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use postern_tests::{
    Authenticator,
    bench::http,
    enrollment::{PASSWORD, public_key},
};
use serde::Deserialize;
use serde_json::json;

use super::{Line, Queue, Visit};
use crate::{
    args::LoadOptions,
    visitors::{self, Invited},
};

#[derive(Debug, Clone)]
pub(super) struct Enrolling {
    invited: Arc<[Invited]>,
    queue: Arc<Queue>,
}

#[derive(Deserialize)]
struct SetUp<'a> {
    totp_secret: &'a str,
}

impl Enrolling {
    pub(super) fn new(options: &LoadOptions) -> Result<Self> {
        let invited = visitors::read(&options.visitors, options.first, options.count, Invited::parse)?;
        Ok(Self { invited: invited.into(), queue: Queue::new(options) })
    }
}

impl Visit for Enrolling {
    /// Fewer than may wait for their password to be hashed: nobody is to be turned away.
    const CONNECTIONS: usize = 16;

    async fn next(&mut self, line: &mut Line) -> Result<bool> {
        let Some(invited) = self.queue.once().map(|number| &self.invited[number]) else { return Ok(false) };
        let start = http::post("/api/v1/enrollment/start", &json!({ "token": invited.token }).to_string());
        let cookie = line.call("start", &start, |answer| cookie_of(answer.head).context("no cookie")).await?;
        let step = |name: &str, body: serde_json::Value| {
            http::post_in_session(&format!("/api/v1/enrollment/{name}"), &cookie, &body.to_string())
        };

        let begin = step("register-mfa/code/start", json!({ "method": "Totp" }));
        let set_up = line.call("code start", &begin, |answer| {
            let SetUp { totp_secret } = serde_json::from_slice(answer.body)?;
            Authenticator::new(totp_secret)
        });
        let code = set_up.await?.code();
        let finish = step("register-mfa/code/finish", json!({ "code": code, "method": "Totp" }));
        line.call("code finish", &finish, |_| Ok(())).await?;
        let device = step("create_device", json!({ "name": "laptop", "pubkey": public_key()? }));
        line.call("create_device", &device, |_| Ok(())).await?;
        let activate = step("activate_user", json!({ "password": PASSWORD, "phone_number": null }));
        line.call("activate_user", &activate, |_| Ok(())).await?;
        Ok(true)
    }
}

/// `name=value` of the session's cookie.
fn cookie_of(head: &[u8]) -> Option<String> {
    let lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let mut values =
        lines.filter_map(|line| line.split_once(": ")).filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let (_, value) = values.find(|(_, value)| value.starts_with("defguard_proxy="))?;
    value.split(';').next().map(str::to_owned)
}
