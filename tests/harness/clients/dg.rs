//! `dg`, the program of hosts without a person.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    answer::{self, text},
    caller::Caller,
    cookies::Store,
    desktop::POLL_PATIENCE,
};
use crate::{Reply, enrollment::public_key};

/// One host. No header of its own, and a real cookie store.
#[derive(Debug, Clone)]
pub struct Dg {
    pub caller: Caller,
    url: String,
    cookies: Store,
}

/// A host that has joined.
#[derive(Debug, Clone)]
pub struct Host {
    pub public_key: String,
    pub polling_token: String,
    pub config: Value,
}

impl Dg {
    /// `dg enroll -u <url>`: whatever path the address has is replaced.
    pub fn new(url: &str) -> Self {
        let caller = Caller::new("dg", POLL_PATIENCE, &[]);
        Self { caller, url: url.trim_end_matches('/').to_owned(), cookies: Store::default() }
    }

    pub async fn start(&mut self, token: &str) -> Result<()> {
        let url = format!("{}/api/v1/enrollment/start", self.url);
        let cookies = &mut self.cookies;
        self.caller
            .post("enrollment/start", &url, &json!({ "token": token }), |reply| {
                answer::ok(reply, &["/instance"])?;
                cookies.keep(&url, reply);
                cookies.header(&url).context("the store holds no cookie for the next step").map(drop)
            })
            .await
    }

    pub async fn create_device(&mut self) -> Result<Host> {
        let url = format!("{}/api/v1/enrollment/create_device", self.url);
        let key = public_key()?;
        let body = json!({ "name": "", "pubkey": key, "token": null });
        let cookie = [("cookie", self.cookies.header(&url).context("no cookie")?)];
        self.caller
            .post_with("enrollment/create_device", &url, (&body, &cookie), |reply| {
                let body = answer::ok(reply, &["/device", "/instance", "/configs/0"])?;
                Ok(Host { public_key: key.clone(), polling_token: text(&body, "/token")?, config: only_config(&body)? })
            })
            .await
    }

    /// Every 30 seconds. It looks at no header.
    pub async fn poll(&mut self, host: &Host) -> Result<Value> {
        let url = format!("{}/api/v1/poll", self.url);
        let read = |reply: &Reply| {
            let body = answer::ok(reply, &["/device_config/instance"])?;
            only_config(&body["device_config"])
        };
        self.caller.post("poll", &url, &json!({ "token": host.polling_token }), read).await
    }

    /// A first step that must be refused: `dg` prints `error` of a body in JSON.
    pub async fn refused(&mut self, token: &str) -> Result<String> {
        let url = format!("{}/api/v1/enrollment/start", self.url);
        self.caller
            .post("enrollment/start", &url, &json!({ "token": token }), |reply| {
                ensure!(reply.status != 200, "a bad token was taken");
                answer::error(reply)
            })
            .await
    }
}

fn only_config(body: &Value) -> Result<Value> {
    let configs = body["configs"].as_array().context("configs are no list")?;
    ensure!(configs.len() == 1, "dg takes one location, not {}", configs.len());
    Ok(configs[0].clone())
}
