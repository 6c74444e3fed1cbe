//! One Core of a cluster, as an admin beside it sees it.

use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{Client, Commands, Process, cluster::START_LIMIT, eventually};

/// A process, and the commands that reach it.
#[derive(Debug)]
pub struct Core {
    pub name: String,
    pub(super) process: Process,
    /// Of its commands too.
    pub(super) environment: Vec<(String, String)>,
    pub(super) socket: PathBuf,
}

impl Core {
    /// From its next start on, and for commands at once.
    pub(super) fn set(&mut self, settings: &[(&str, String)]) {
        for (name, value) in settings {
            let name = format!("POSTERN_CORE__{name}");
            self.process.set(&name, value);
            self.environment.push((name, value.clone()));
        }
    }

    /// An administrator beside it.
    pub fn commands(&self) -> Commands {
        Commands::new(self.environment.clone())
    }

    /// A client of its metrics.
    pub fn metrics(&self) -> Result<Client> {
        let address = self.setting("POSTERN_CORE__METRICS_LISTEN").context("no metrics_listen")?;
        Ok(Client::new(address.parse()?))
    }

    /// How many requests of this kind it has answered, whatever came of them.
    pub async fn answered(&self, kind: &str) -> Result<u64> {
        let told = self.metrics()?.get("/metrics").await?;
        let told = String::from_utf8_lossy(&told.body).into_owned();
        let of_kind = format!("kind=\"{kind}\"");
        let lines =
            told.lines().filter(|line| line.starts_with("postern_core_requests_total{") && line.contains(&of_kind));
        lines.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?)).sum()
    }

    /// Waits until it takes commands.
    pub async fn listens(&self) -> Result<Duration> {
        eventually(&format!("{} listens on its socket", self.name), START_LIMIT, || async {
            tokio::net::UnixStream::connect(&self.socket).await.is_ok()
        })
        .await
    }

    /// Waits until it has tunnels to exactly so many Edges.
    pub async fn connected(&self, edges: usize, within: Duration) -> Result<Duration> {
        let client = self.metrics()?;
        let line = format!("postern_core_edges_connected {edges}");
        eventually(&format!("{} has {edges} tunnels", self.name), within, || async {
            let told = client.get("/metrics").await;
            told.is_ok_and(|told| String::from_utf8_lossy(&told.body).lines().any(|told| told == line))
        })
        .await
    }
}

impl Deref for Core {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Core {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
