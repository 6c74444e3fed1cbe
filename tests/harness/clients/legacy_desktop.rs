//! The desktop with its older interface (1.6, and still in 2.1), wizard and all.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    Instance, Logins, Polled,
    answer::{self, set_cookie, text},
    caller::Caller,
    desktop::{UI_PATIENCE, wrong_headers},
};
use crate::{Reply, enrollment::public_key};

/// What the first page of the wizard reads.
const STARTED: [&str; 16] = [
    "/instance/id",
    "/instance/name",
    "/instance/url",
    "/instance/proxy_url",
    "/user/enrolled",
    "/user/device_names",
    "/user/first_name",
    "/user/last_name",
    "/user/login",
    "/user/email",
    "/user/is_active",
    "/admin/name",
    "/admin/email",
    "/deadline_timestamp",
    "/settings/vpn_setup_optional",
    "/settings/only_client_activation",
];

/// One installed desktop and the person in front of it.
#[derive(Debug, Clone)]
pub struct LegacyDesktop {
    pub caller: Caller,
    typed_url: String,
    /// The whole `Set-Cookie` line goes back as it came.
    cookie: String,
    proxy_url: String,
}

/// What the first step says about the person.
#[derive(Debug, Clone)]
pub struct Started {
    pub instance_id: String,
    pub is_enrolled: bool,
    pub needs_second_factor: bool,
}

impl LegacyDesktop {
    /// `typed_url` as people type it: without a slash at its end.
    pub fn new(typed_url: &str) -> Self {
        Self {
            caller: Caller::new("legacy-desktop", UI_PATIENCE, &wrong_headers()),
            typed_url: typed_url.trim_end_matches('/').to_owned(),
            cookie: String::new(),
            proxy_url: String::new(),
        }
    }

    pub async fn start(&mut self, token: &str) -> Result<Started> {
        let url = format!("{}/api/v1/enrollment/start", self.typed_url);
        let (body, cookie) = self
            .caller
            .post("enrollment/start", &url, &json!({ "token": token }), |reply| {
                Ok((answer::ok(reply, &STARTED)?, set_cookie(reply, "defguard_proxy=")?))
            })
            .await?;
        self.cookie = cookie;
        self.proxy_url = text(&body, "/instance/proxy_url")?;
        Ok(Started {
            instance_id: text(&body, "/instance/id")?,
            is_enrolled: body["user"]["enrolled"].as_bool().context("user.enrolled is no bool")?,
            needs_second_factor: body["settings"]["mfa_required"].as_bool().unwrap_or_default(),
        })
    }

    /// The version, shown at the foot of the wizard.
    pub async fn info(&mut self) -> Result<String> {
        let url = format!("{}/api/v1/info", self.typed_url);
        self.caller.get("info", &url, &[], |reply| text(&answer::ok(reply, &["/version"])?, "/version")).await
    }

    /// Of an instance that is known already: what it gives now.
    pub async fn network_info(&mut self, known: &Instance) -> Result<Instance> {
        let body = json!({ "pubkey": known.public_key });
        self.post("enrollment/network_info", &body, |reply| {
            Instance::read(&answer::ok(reply, &["/device", "/instance", "/token"])?, &known.public_key)
        })
        .await
    }

    /// The seed of the authenticator app; `None` for codes by mail.
    pub async fn start_factor(&mut self, method: &str) -> Result<Option<String>> {
        self.post("enrollment/register-mfa/code/start", &json!({ "method": method }), |reply| {
            Ok(answer::ok(reply, &[])?["totp_secret"].as_str().map(str::to_owned))
        })
        .await
    }

    /// Recovery codes.
    pub async fn finish_factor(&mut self, method: &str, code: &str) -> Result<Vec<String>> {
        let body = json!({ "code": code, "method": method });
        self.post("enrollment/register-mfa/code/finish", &body, |reply| {
            let mut body = answer::ok(reply, &["/recovery_codes"])?;
            serde_json::from_value(body["recovery_codes"].take()).context("no list of recovery codes")
        })
        .await
    }

    pub async fn create_device(&mut self, name: &str) -> Result<Instance> {
        let key = public_key()?;
        self.post("enrollment/create_device", &json!({ "name": name, "pubkey": key }), |reply| {
            Instance::read(&answer::ok(reply, &["/device", "/instance", "/token"])?, &key)
        })
        .await
    }

    /// The last step of the wizard: its answer ends the session.
    pub async fn activate_user(&mut self, password: &str) -> Result<()> {
        let body = json!({ "password": password, "phone_number": "+48 123 456 789" });
        self.post("enrollment/activate_user", &body, |reply| {
            answer::is_200(reply)?;
            set_cookie(reply, "defguard_proxy=;").context("the session's cookie is not taken back").map(drop)
        })
        .await
    }

    pub async fn poll(&mut self, instance: &Instance) -> Result<Polled> {
        instance.poll(&mut self.caller).await
    }

    pub fn logins<'a>(&'a mut self, instance: &'a Instance) -> Logins<'a> {
        Logins::of_an_older_client(&mut self.caller, instance)
    }

    async fn post<T>(
        &mut self,
        step: &'static str,
        body: &Value,
        check: impl FnOnce(&Reply) -> Result<T>,
    ) -> Result<T> {
        ensure!(!self.cookie.is_empty(), "{step} before start");
        let url = format!("{}api/v1/{step}", self.proxy_url);
        let cookie = [("cookie", self.cookie.clone())];
        self.caller.post_with(step, &url, (body, &cookie), check).await
    }
}
