//! The app on a phone (1.7): enrolls, keeps a key of its own, logs in with it, and says yes for a desktop.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use semver::Version;
use serde_json::{Value, json};

use super::{
    BIOMETRIC, Instance, Location, Login, Polled,
    answer::{self, text},
    caller::Caller,
    cookies::JarByHost,
    desktop::{locations, right_headers},
    desktop_mfa::{Finished, preshared_key},
    posture,
    signing::SigningKey,
};
use crate::{Reply, enrollment::public_key};

/// The app waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
const BROWSER_PAUSE: Duration = Duration::from_secs(2);
const BROWSER_PATIENCE: Duration = Duration::from_secs(120);
const OLDEST_PEER: Version = Version::new(1, 5, 0);

/// What the app parses of the first answer; any null among it ends the enrollment.
const STARTED: [&str; 18] = [
    "/admin/name",
    "/admin/email",
    "/user/first_name",
    "/user/last_name",
    "/user/login",
    "/user/email",
    "/user/is_active",
    "/user/device_names",
    "/user/enrolled",
    "/instance/id",
    "/instance/name",
    "/instance/url",
    "/instance/proxy_url",
    "/deadline_timestamp",
    "/final_page_content",
    "/settings",
    "/settings/vpn_setup_optional",
    "/settings/only_client_activation",
];

/// One phone and its owner.
#[derive(Debug)]
pub struct Mobile {
    pub caller: Caller,
    url: String,
    cookies: JarByHost,
    key: SigningKey,
}

impl Mobile {
    /// `url` as it stands in the QR code of a registration.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self {
            caller: Caller::new("mobile", PATIENCE, &right_headers("", "Android")),
            url: url.trim_end_matches('/').to_owned(),
            cookies: JarByHost::default(),
            key: SigningKey::new()?,
        })
    }

    pub async fn start(&mut self, token: &str) -> Result<()> {
        let url = format!("{}/api/v1/enrollment/start", self.url);
        let cookies = &mut self.cookies;
        self.caller
            .post("enrollment/start", &url, &json!({ "token": token }), |reply| {
                answer::ok(reply, &STARTED)?;
                cookies.keep(&url, reply);
                Ok(())
            })
            .await
    }

    pub async fn create_device(&mut self, name: &str) -> Result<Instance> {
        let url = format!("{}/api/v1/enrollment/create_device", self.url);
        let key = public_key()?;
        let body = json!({ "name": name, "pubkey": key });
        let needed = ["/device", "/configs", "/instance/disable_all_traffic", "/instance/enterprise_enabled", "/token"];
        let read = |reply: &Reply| Instance::read(&answer::ok(reply, &needed)?, &key);
        self.post_with_cookie("enrollment/create_device", &url, &body, read).await
    }

    /// Tells Core the key that signs for this phone.
    pub async fn register(&mut self, instance: &Instance) -> Result<()> {
        let url = format!("{}api/v1/enrollment/register_mobile", instance.proxy_url);
        let body = json!({ "auth_pub_key": self.key.public(), "device_pub_key": instance.public_key });
        self.post_with_cookie("enrollment/register_mobile", &url, &body, answer::is_200).await
    }

    pub async fn start_login(&mut self, instance: &Instance, location: &Location, method: i32) -> Result<Login> {
        let mut body = json!({ "location_id": location.id, "pubkey": instance.public_key, "method": method });
        if location.needs_posture {
            body["posture_data"] = posture::of_a_laptop();
        }
        let read = |reply: &Reply| {
            let body = answer::ok(reply, &["/token"])?;
            let challenge = body["challenge"].as_str().map(str::to_owned);
            ensure!(method != BIOMETRIC || challenge.is_some(), "nothing to sign: {body}");
            Ok(Login { token: text(&body, "/token")?, challenge })
        };
        let url = format!("{}api/v1/client-mfa/start", instance.proxy_url);
        self.caller.post("client-mfa/start", &url, &body, read).await
    }

    /// With a code, or with what the finger unlocks: a signature over the challenge.
    pub async fn finish_login(&mut self, instance: &Instance, login: &Login, code: &str) -> Result<String> {
        let url = format!("{}api/v1/client-mfa/finish", instance.proxy_url);
        let body = json!({ "token": login.token, "code": code });
        self.caller.post("client-mfa/finish", &url, &body, preshared_key).await
    }

    pub fn sign(&self, login: &Login) -> Result<String> {
        Ok(self.key.sign(login.challenge.as_deref().context("nothing to sign")?))
    }

    /// Asks until the browser is done.
    pub async fn wait_for_browser(&mut self, instance: &Instance, login: &Login) -> Result<String> {
        let url = format!("{}api/v1/client-mfa/finish", instance.proxy_url);
        let asking = async {
            loop {
                let read = |reply: &Reply| match reply.status {
                    428 => Ok(Finished::NotYet),
                    _ => preshared_key(reply).map(Finished::PresharedKey),
                };
                match self.caller.post("client-mfa/finish", &url, &json!({ "token": login.token }), read).await? {
                    Finished::PresharedKey(key) => return Ok(key),
                    Finished::NotYet => tokio::time::sleep(BROWSER_PAUSE).await,
                }
            }
        };
        tokio::time::timeout(BROWSER_PATIENCE, asking).await.context("nobody finished in the browser")?
    }

    /// Scans what a desktop shows, and says yes. Only the status matters, and no key must come this way.
    pub async fn approve(&mut self, proxy_url: &str, qr_code: &str) -> Result<()> {
        let shown: Value = serde_json::from_slice(&STANDARD.decode(qr_code)?).context("the QR code holds no JSON")?;
        let signature = self.key.sign(&text(&shown, "/challenge")?);
        let body = json!({
            "token": shown["token"], "code": signature, "auth_pub_key": self.key.public(),
        });
        let read = |reply: &Reply| {
            answer::is_200(reply)?;
            ensure!(!reply.body.windows(9).any(|part| part == b"preshared"), "the desktop's key came to the phone");
            Ok(())
        };
        let url = format!("{proxy_url}api/v1/client-mfa/finish-remote");
        self.caller.post("client-mfa/finish-remote", &url, &body, read).await
    }

    pub async fn connect_with_posture(&mut self, instance: &Instance, location: &Location) -> Result<String> {
        let url = format!("{}api/v1/posture/connect", instance.proxy_url);
        let body = json!({
            "location_id": location.id, "pubkey": instance.public_key, "device_posture_data": posture::of_a_laptop(),
        });
        self.caller.post("posture/connect", &url, &body, preshared_key).await
    }

    pub async fn poll(&mut self, instance: &Instance) -> Result<Polled> {
        let url = format!("{}api/v1/poll", instance.proxy_url);
        self.caller.post("poll", &url, &json!({ "token": instance.polling_token }), read_poll).await
    }

    async fn post_with_cookie<T>(
        &mut self,
        step: &'static str,
        url: &str,
        body: &Value,
        check: impl FnOnce(&Reply) -> Result<T>,
    ) -> Result<T> {
        let cookie = [("cookie", self.cookies.header(url).context("the jar holds nothing for this host")?)];
        self.caller.post_with(step, url, (body, &cookie), check).await
    }
}

/// Without both versions the app takes the instance for unsupported, and skips the update.
fn read_poll(reply: &Reply) -> Result<Polled> {
    for name in ["defguard-core-version", "defguard-component-version"] {
        let version = Version::parse(reply.header(name)).with_context(|| format!("{name} is no version"))?;
        ensure!(version >= OLDEST_PEER, "{name} {version} is too old");
    }
    if reply.status == 402 {
        return Ok(Polled::NoLicence);
    }
    let body = answer::ok(reply, &["/device_config/configs", "/device_config/instance"])?;
    Ok(Polled::Configured(locations(&body["device_config"]["configs"])?))
}
