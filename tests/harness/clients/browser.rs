//! A browser as the scripts of the Edge's pages drive it: password reset, and the two ways through an identity provider.
//!
//! What a person sees is proved in a real Chromium; here it is which routes are called, with which cookies and headers.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    answer::{self, text},
    caller::Caller,
    cookies::Store,
};
use crate::Reply;

const PATIENCE: Duration = Duration::from_secs(60);

/// One window, and its cookies.
#[derive(Debug, Clone)]
pub struct Browser {
    pub caller: Caller,
    /// Without a slash at its end, as in `location.origin`.
    origin: String,
    cookies: Store,
}

impl Browser {
    pub fn new(public_url: &str) -> Self {
        let headers = [
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36".to_owned()),
            ("accept-language", "en".to_owned()),
        ];
        let caller = Caller::new("browser", PATIENCE, &headers);
        Self { caller, origin: public_url.trim_end_matches('/').to_owned(), cookies: Store::default() }
    }

    /// A page, in HTML, that no cache may keep.
    pub async fn open(&mut self, step: &'static str, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.origin);
        let navigation = [
            ("accept", "text/html,application/xhtml+xml".to_owned()),
            ("sec-fetch-mode", "navigate".to_owned()),
            ("sec-fetch-dest", "document".to_owned()),
            ("sec-fetch-site", "none".to_owned()),
        ];
        self.caller
            .get(step, &url, &navigation, |reply| {
                answer::is_200(reply)?;
                ensure!(reply.header("content-type").starts_with("text/html"), "no page: {reply:?}");
                ensure!(reply.header("content-security-policy").contains("default-src 'none'"), "{reply:?}");
                String::from_utf8(reply.body.to_vec()).context("no text")
            })
            .await
    }

    /// "I have forgotten my password": the answer says nothing about who exists.
    pub async fn request_reset(&mut self, email: &str) -> Result<()> {
        self.post("password-reset/request", &json!({ "email": email }), answer::is_200).await
    }

    /// With the token of the mail's link: the end of the session, in seconds since 1970.
    pub async fn start_reset(&mut self, token: &str) -> Result<i64> {
        let body = self
            .post("password-reset/start", &json!({ "token": token }), |reply| {
                answer::ok(reply, &["/deadline_timestamp"])
            })
            .await?;
        ensure!(self.cookies.holds("defguard_proxy_password_reset"), "no cookie for the next step");
        ensure!(!self.cookies.has_readable(), "a script can read a cookie");
        body["deadline_timestamp"].as_i64().context("no time")
    }

    pub async fn reset(&mut self, token: &str, password: &str) -> Result<()> {
        self.post("password-reset/reset", &json!({ "password": password, "token": token }), answer::is_200).await?;
        ensure!(!self.cookies.holds("defguard_proxy_password_reset"), "the cookie is still there");
        Ok(())
    }

    /// The text of a refusal with this status.
    pub async fn refused(&mut self, route: &'static str, body: &Value, status: u16) -> Result<String> {
        self.post(route, body, |reply| {
            ensure!(reply.status == status, "status {}: {:?}", reply.status, reply.body);
            answer::error(reply)
        })
        .await
    }

    /// The identity provider's address, for an enrollment.
    pub async fn openid_enrollment(&mut self) -> Result<String> {
        self.auth_info(&json!({ "type": "enrollment" })).await
    }

    /// The identity provider's address, for the login that an app has begun.
    pub async fn openid_mfa(&mut self, login_token: &str) -> Result<String> {
        self.auth_info(&json!({ "type": "mfa", "state": login_token })).await
    }

    /// Signs in at the provider and comes back: the callback's path with its query, as it stands in the address bar.
    pub async fn sign_in(&mut self, provider_url: &str) -> Result<String> {
        let location = self
            .caller
            .get("provider/authorize", provider_url, &[], |reply| {
                ensure!((302..=303).contains(&reply.status), "status {}: {:?}", reply.status, reply.body);
                Ok(reply.header("location").to_owned())
            })
            .await?;
        let Some(back) = location.strip_prefix(&self.origin) else { bail!("the provider leads to {location}") };
        Ok(back.to_owned())
    }

    /// What the callback's page does for an enrollment: a token that starts one.
    pub async fn openid_callback(&mut self, callback: &str) -> Result<String> {
        let body = self.callback_body(callback, "enrollment")?;
        let answer = self.post("openid/callback", &body, |reply| answer::ok(reply, &["/url", "/token"])).await?;
        ensure!(!self.cookies.holds("nonce_proxy") && !self.cookies.holds("csrf_proxy"), "the cookies are still there");
        text(&answer, "/token")
    }

    /// What the callback's page does for a login.
    pub async fn openid_mfa_callback(&mut self, callback: &str) -> Result<()> {
        let body = self.callback_body(callback, "mfa")?;
        self.post("openid/callback/mfa", &body, answer::is_200).await
    }

    /// Everything that a script cannot read but this window sends.
    pub fn cookie_values(&self) -> Vec<String> {
        self.cookies.values().map(str::to_owned).collect()
    }

    async fn auth_info(&mut self, body: &Value) -> Result<String> {
        let answer = self.post("openid/auth_info", body, |reply| answer::ok(reply, &["/url"])).await?;
        ensure!(self.cookies.holds("nonce_proxy") && self.cookies.holds("csrf_proxy"), "no cookies for the way back");
        text(&answer, "/url")
    }

    /// `code` and `state` exactly as they came: a `+` in them is a plus.
    fn callback_body(&self, callback: &str, kind: &str) -> Result<Value> {
        let query = callback.split_once('?').context("the provider gave no query")?.1;
        let field = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut found = pairs.filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| decoded(value)).with_context(|| format!("no {name} in the callback"))
        };
        Ok(json!({ "code": field("code")?, "state": field("state")?, "type": kind }))
    }

    /// As `fetch` of a page of the same origin sends it.
    async fn post<T>(
        &mut self,
        route: &'static str,
        body: &Value,
        check: impl FnOnce(&Reply) -> Result<T>,
    ) -> Result<T> {
        let url = format!("{}/api/v1/{route}", self.origin);
        let mut headers = vec![
            ("accept", "*/*".to_owned()),
            ("origin", self.origin.clone()),
            ("sec-fetch-site", "same-origin".to_owned()),
            ("sec-fetch-mode", "cors".to_owned()),
            ("sec-fetch-dest", "empty".to_owned()),
        ];
        headers.extend(self.cookies.header(&url).map(|cookies| ("cookie", cookies)));
        let cookies = &mut self.cookies;
        let keep = |reply: &Reply| {
            cookies.keep(&url, reply);
            check(reply)
        };
        self.caller.post_with(route, &url, (body, &headers), keep).await
    }
}

/// `%2B` is a plus; a bare `+` stays one.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
