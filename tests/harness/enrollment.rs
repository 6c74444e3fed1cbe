//! The steps of a person who enrolls a device, as a stock client takes them.

use std::{fs::File, io::Read};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{Client, Reply};

/// A password that every rule accepts.
pub const PASSWORD: &str = "Canary-9f27-correct-horse!";

/// An enrollment under way: a client that holds the cookie.
#[derive(Debug, Clone)]
pub struct Enrollment {
    pub client: Client,
    pub cookie: String,
    pub started: Value,
}

/// A finished enrollment.
#[derive(Debug, Clone)]
pub struct Enrolled {
    pub cookie: String,
    pub device: Value,
    pub polling_token: String,
}

impl Enrollment {
    /// `start`, which must succeed.
    pub async fn start(client: &Client, token: &str) -> Result<Self> {
        let reply = client.post("/api/v1/enrollment/start", &json!({ "token": token })).await?;
        ensure!(reply.status == 200, "start: {} {:?}", reply.status, reply.body);
        let cookie = cookie_of(&reply).context("start set no cookie")?;
        Ok(Self { client: client.clone(), cookie, started: reply.json()? })
    }

    /// The same session through another address: no Edge keeps anything.
    #[must_use]
    pub fn through(&self, client: &Client) -> Self {
        Self { client: client.clone(), ..self.clone() }
    }

    pub async fn create_device(&self, name: &str, public_key: &str) -> Result<Reply> {
        self.post("/api/v1/enrollment/create_device", &json!({ "name": name, "pubkey": public_key })).await
    }

    pub async fn activate_user(&self, password: &str) -> Result<Reply> {
        self.post("/api/v1/enrollment/activate_user", &json!({ "password": password, "phone_number": null })).await
    }

    /// Any step of this session.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.client.clone().with_header("cookie", &self.cookie).post(path, body).await
    }
}

/// Every step from the token to a device that polls.
pub async fn enroll(client: &Client, token: &str) -> Result<Enrolled> {
    let enrollment = Enrollment::start(client, token).await?;
    let reply = enrollment.create_device("laptop", &public_key()?).await?;
    ensure!(reply.status == 200, "create_device: {} {:?}", reply.status, reply.body);
    let device = reply.json()?;
    let polling_token = device["token"].as_str().context("create_device gave no polling token")?.to_owned();
    let reply = enrollment.activate_user(PASSWORD).await?;
    ensure!(reply.status == 200, "activate_user: {} {:?}", reply.status, reply.body);
    Ok(Enrolled { cookie: enrollment.cookie, device, polling_token })
}

/// `name=value` of the enrollment cookie, if there is exactly one.
pub fn cookie_of(reply: &Reply) -> Option<String> {
    let lines = reply.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
    let mut ours = lines.filter(|line| line.starts_with("defguard_proxy="));
    let first = ours.next()?;
    if ours.next().is_some() {
        return None;
    }
    first.split(';').next().map(str::to_owned)
}

/// A WireGuard public key nobody has used.
pub fn public_key() -> Result<String> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(STANDARD.encode(key))
}
