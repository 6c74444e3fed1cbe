//! How a client calls, and what it notes of each step.

use std::{
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Uri};
use serde_json::Value;
use tokio::time::timeout;

use crate::{Client, Reply};

/// One call and what the client made of its answer.
#[derive(Debug, Clone)]
pub struct Step {
    pub name: &'static str,
    /// None when no answer came.
    pub status: Option<u16>,
    pub took: Duration,
    pub is_good: bool,
}

/// One installed client: its name, its headers, its patience, and the steps it has taken.
#[derive(Debug, Clone)]
pub struct Caller {
    client: &'static str,
    headers: Vec<(&'static str, String)>,
    patience: Duration,
    steps: Vec<Step>,
}

/// Headers of one request only.
pub(super) type Extra<'a> = &'a [(&'a str, String)];

impl Caller {
    pub(super) fn new(client: &'static str, patience: Duration, headers: &[(&'static str, String)]) -> Self {
        Self { client, headers: headers.to_vec(), patience, steps: Vec::new() }
    }

    /// The same client where it sends other headers and waits otherwise: a part of it in another language.
    pub(super) fn part(&self, patience: Duration, headers: &[(&'static str, String)]) -> Self {
        Self { headers: headers.to_vec(), patience, ..Self::new(self.client, patience, &[]) }
    }

    /// Notes what a part has done.
    pub(super) fn take_over(&mut self, part: Self) {
        self.steps.extend(part.steps);
    }

    /// The steps taken so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Posts JSON; `check` says whether the client can use the answer, and what it takes from it.
    pub(super) async fn post<T>(
        &mut self,
        name: &'static str,
        url: &str,
        body: &Value,
        check: impl FnOnce(&Reply) -> Result<T>,
    ) -> Result<T> {
        self.post_with(name, url, (body, &[]), check).await
    }

    /// The same with a cookie or other headers of this one request.
    pub(super) async fn post_with<T>(
        &mut self,
        name: &'static str,
        url: &str,
        (body, extra): (&Value, Extra<'_>),
        check: impl FnOnce(&Reply) -> Result<T>,
    ) -> Result<T> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(extra.iter().cloned());
        let sent = (Method::POST, Bytes::from(body.to_string()));
        self.step(name, url, (sent, &headers), check).await
    }

    pub(super) async fn get<T>(
        &mut self,
        name: &'static str,
        url: &str,
        extra: Extra<'_>,
        check: impl FnOnce(&Reply) -> Result<T>,
    ) -> Result<T> {
        self.step(name, url, ((Method::GET, Bytes::new()), extra), check).await
    }

    async fn step<T>(
        &mut self,
        name: &'static str,
        url: &str,
        (sent, extra): ((Method, Bytes), Extra<'_>),
        check: impl FnOnce(&Reply) -> Result<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        let reply = self.send(url, sent, extra).await;
        let took = begun.elapsed();
        let status = reply.as_ref().ok().map(|reply| reply.status);
        let used = reply.and_then(|reply| check(&reply));
        self.note(name, status, took, used)
    }

    /// A step that is no plain call.
    pub(super) fn note<T>(
        &mut self,
        name: &'static str,
        status: Option<u16>,
        took: Duration,
        outcome: Result<T>,
    ) -> Result<T> {
        let (client, ms) = (self.client, took.as_millis());
        let shown = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        let verdict = outcome.as_ref().map_or_else(|error| format!("FAILED {error:#}"), |_| "ok".to_owned());
        // Nobody is left to tell when the terminal is gone.
        drop(writeln!(std::io::stdout(), "client={client} step={name} status={shown} ms={ms} {verdict}"));
        self.steps.push(Step { name, status, took, is_good: outcome.is_ok() });
        outcome.with_context(|| format!("{client} cannot go on after {name}"))
    }

    async fn send(&self, url: &str, (method, body): (Method, Bytes), extra: Extra<'_>) -> Result<Reply> {
        let (address, path) = split(url)?;
        let mut client = Client::new(address);
        for (name, value) in self.headers.iter().map(|(name, value)| (*name, value)) {
            client = client.with_header(name, value);
        }
        for (name, value) in extra {
            client = client.with_header(name, value);
        }
        timeout(self.patience, client.send(method, &path, body))
            .await
            .with_context(|| format!("{} left after {:?}", self.client, self.patience))?
    }
}

/// Address, and path with query, of a URL on this machine.
pub(super) fn split(url: &str) -> Result<(SocketAddr, String)> {
    let uri: Uri = url.parse().with_context(|| format!("no URL: {url}"))?;
    let authority = uri.authority().with_context(|| format!("no host in {url}"))?.as_str();
    let address: SocketAddr =
        authority.replace("localhost", "127.0.0.1").parse().context("not an address of this machine")?;
    ensure!(address.ip().is_loopback(), "{address} is not on this machine");
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok((address, path.to_owned()))
}
