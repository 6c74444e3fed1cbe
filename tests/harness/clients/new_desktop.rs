//! The desktop with its newer interface (2.1).

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    Instance, Location, Logins, Polled,
    answer::{self, set_cookie, text},
    caller::Caller,
    desktop::{UI_PATIENCE, right_headers},
    desktop_mfa, posture,
};
use crate::{Reply, enrollment::public_key};

/// One installed desktop and the person in front of it.
#[derive(Debug, Clone)]
pub struct NewDesktop {
    pub caller: Caller,
    typed_url: String,
    cookie: String,
    proxy_url: String,
}

/// What became of an instance that the desktop knew.
#[derive(Debug, Clone)]
pub enum Known {
    Updated(Box<Instance>),
    /// 404: the desktop has deleted it.
    Deleted,
}

impl NewDesktop {
    pub fn new(typed_url: &str) -> Self {
        let mut headers = right_headers("linux", "Linux");
        headers.push(("origin", "tauri://localhost".to_owned()));
        Self {
            caller: Caller::new("new-desktop", UI_PATIENCE, &headers),
            typed_url: typed_url.trim_end_matches('/').to_owned(),
            cookie: String::new(),
            proxy_url: String::new(),
        }
    }

    /// Whether the person has enrolled before.
    pub async fn start(&mut self, token: &str) -> Result<bool> {
        let url = format!("{}/api/v1/enrollment/start", self.typed_url);
        let needed = ["/instance/id", "/instance/proxy_url", "/user/enrolled", "/deadline_timestamp", "/settings"];
        let (body, cookie) = self
            .caller
            .post("enrollment/start", &url, &json!({ "token": token }), |reply| {
                Ok((answer::ok(reply, &needed)?, set_cookie(reply, "defguard_proxy=")?))
            })
            .await?;
        self.cookie = cookie;
        self.proxy_url = text(&body, "/instance/proxy_url")?;
        body["user"]["enrolled"].as_bool().context("user.enrolled is no bool")
    }

    /// At a 404 the desktop deletes the instance, so that nobody but Core may say it.
    pub async fn network_info(&mut self, known: &Instance) -> Result<Known> {
        let body = json!({ "pubkey": known.public_key });
        self.post("enrollment/network_info", &body, |reply| {
            if reply.status == 404 {
                return Ok(Known::Deleted);
            }
            let body = answer::ok(reply, &["/device", "/instance", "/token"])?;
            Ok(Known::Updated(Box::new(Instance::read(&body, &known.public_key)?)))
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

    /// The seed of the authenticator app; `None` for codes by mail.
    pub async fn start_factor(&mut self, method: &str) -> Result<Option<String>> {
        self.post("enrollment/register-mfa/code/start", &json!({ "method": method }), |reply| {
            Ok(answer::ok(reply, &[])?["totp_secret"].as_str().map(str::to_owned))
        })
        .await
    }

    pub async fn finish_factor(&mut self, method: &str, code: &str) -> Result<Vec<String>> {
        let body = json!({ "code": code, "method": method });
        self.post("enrollment/register-mfa/code/finish", &body, |reply| {
            let mut body = answer::ok(reply, &["/recovery_codes"])?;
            serde_json::from_value(body["recovery_codes"].take()).context("no list of recovery codes")
        })
        .await
    }

    /// Reads the answer as JSON: an empty one is a failure to this interface.
    pub async fn activate_user(&mut self, password: &str) -> Result<()> {
        self.post("enrollment/activate_user", &json!({ "password": password }), |reply| {
            let body = answer::ok(reply, &[])?;
            ensure!(reply.header("content-type").starts_with("application/json"), "not called JSON: {body}");
            Ok(())
        })
        .await
    }

    /// Where a location asks how the machine is: a key without a second factor.
    pub async fn connect_with_posture(&mut self, instance: &Instance, location: &Location) -> Result<String> {
        let url = format!("{}api/v1/posture/connect", instance.proxy_url);
        let body = json!({
            "location_id": location.id, "pubkey": instance.public_key, "device_posture_data": posture::of_a_laptop(),
        });
        self.caller.post("posture/connect", &url, &body, desktop_mfa::preshared_key).await
    }

    pub async fn poll(&mut self, instance: &Instance) -> Result<Polled> {
        instance.poll(&mut self.caller).await
    }

    pub fn logins<'a>(&'a mut self, instance: &'a Instance) -> Logins<'a> {
        Logins::of_a_newer_client(&mut self.caller, instance)
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
