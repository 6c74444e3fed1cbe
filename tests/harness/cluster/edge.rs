//! One Edge of a cluster, as its neighbours and an admin see it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};

use crate::{Client, Process, cluster::START_LIMIT, eventually};

/// One Edge and where it listens.
#[derive(Debug)]
pub struct Edge {
    pub process: Process,
    pub name: String,
    pub http: SocketAddr,
    /// Bound once Core has a certificate.
    pub https: SocketAddr,
    pub tunnel: SocketAddr,
}

impl Edge {
    /// A client of this Edge itself, which trusts it as it trusts NGINX.
    pub fn client(&self) -> Client {
        Client::new(self.http)
    }

    /// A client of its metrics.
    pub fn metrics(&self) -> Result<Client> {
        let address = self.process.setting("POSTERN_EDGE__METRICS_LISTEN").context("no metrics_listen")?;
        Ok(Client::new(address.parse()?))
    }

    /// All that makes it known to Core.
    pub fn identity(&self) -> Result<Vec<u8>> {
        let folder = self.process.setting("POSTERN_EDGE__IDENTITY_DIR").context("no identity_dir")?;
        let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        files.sort_by_key(std::fs::DirEntry::path);
        let mut identity = Vec::new();
        for file in files {
            identity.extend(std::fs::read(file.path())?);
        }
        Ok(identity)
    }

    /// Waits until the process answers.
    pub async fn alive(&self) -> Result<Duration> {
        let client = self.client();
        eventually(&format!("{} answers /livez", self.name), START_LIMIT, || async {
            client.get("/livez").await.is_ok_and(|reply| reply.status == 200)
        })
        .await
    }

    /// Waits until `/readyz` says this.
    pub async fn ready(&self, ready: bool, within: Duration) -> Result<Duration> {
        let client = self.client();
        let status = if ready { 200 } else { 503 };
        eventually(&format!("{} answers /readyz with {status}", self.name), within, || async {
            client.get("/readyz").await.is_ok_and(|reply| reply.status == status)
        })
        .await
    }
}
