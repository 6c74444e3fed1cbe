//! A whole system on a store that was filled before, and what each of its programs costs.

use std::{fs, net::SocketAddr, path::PathBuf, time::SystemTime};

use anyhow::{Context as _, Result, ensure};
use postern_tests::{Client, Cluster, Setup, bench::process};
use tempfile::TempDir;

use crate::seed::{self, Crowd, Seeded};

/// NGINX, two Edges and Core, running.
#[derive(Debug)]
pub(crate) struct Scene {
    cluster: Cluster,
    pub(crate) seeded: Seeded,
    parts: Vec<Part>,
    _folder: TempDir,
}

/// One program, with the processes it started.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    pids: Vec<u32>,
}

/// What changes when anything is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    commits: u64,
    log_size: u64,
    log_changed: Option<SystemTime>,
}

impl Scene {
    pub(crate) async fn set(crowd: Crowd) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postern-bench-").tempdir()?;
        let seeded = seed::fill(folder.path(), crowd).await?;
        let setup = Setup { core_folder: Some(seeded.core_folder.clone()), ..Setup::measured() };
        let cluster = Cluster::start_with(setup).await?;
        let mut parts = vec![Part::of("NGINX", cluster.nginx.process.pid())?];
        for edge in &cluster.edges {
            parts.push(Part::of(&edge.name, edge.process.pid())?);
        }
        parts.push(Part::of("Core", cluster.core.pid())?);
        Ok(Self { cluster, seeded, parts, _folder: folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.cluster.nginx.public
    }

    /// NGINX, the Edges, and Core as the last.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What Core has written so far.
    pub(crate) async fn written(&self) -> Result<Written> {
        let address = self.cluster.core.setting("POSTERN_CORE__METRICS_LISTEN").context("no metrics_listen")?;
        let metrics = Client::new(address.parse()?).get("/metrics").await?;
        ensure!(metrics.status == 200, "the metrics of Core: {}", metrics.status);
        let log = fs::metadata(self.log())?;
        Ok(Written { commits: commits(&metrics.body)?, log_size: log.len(), log_changed: log.modified().ok() })
    }

    /// The database's write-ahead log.
    fn log(&self) -> PathBuf {
        self.seeded.core_folder.join("core.db-wal")
    }
}

impl Part {
    fn of(name: &str, pid: u32) -> Result<Self> {
        Ok(Self { name: name.to_owned(), pids: process::family(pid)? })
    }

    /// Processor time until now, in microseconds.
    pub(crate) fn spent_us(&self) -> Result<f64> {
        let spent = self.pids.iter().map(|pid| Ok(process::processor_time(*pid)?.as_micros() as f64));
        spent.sum()
    }

    /// Memory in use. Processes of one program share some of it, which counts for each.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        self.pids.iter().map(|pid| process::resident_kib(*pid)).sum()
    }
}

fn commits(metrics: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(metrics)?;
    let line = text.lines().find_map(|line| line.strip_prefix("postern_core_store_commits_total "));
    Ok(line.context("Core counts no commits")?.trim().parse()?)
}
