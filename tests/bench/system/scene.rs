//! A whole system on a store that was filled before, and what each of its programs costs.

use std::{fs, io, net::SocketAddr, rc::Rc, time::SystemTime};

use anyhow::{Context as _, Result, ensure};
use postern_tests::{Cluster, Setup, bench::process, cluster::Cores};

use crate::{
    seed::{self, Crowd, Seeded},
    server::Server,
};

/// Where the store of a scene is.
#[derive(Debug, Clone)]
pub(crate) enum Ground {
    File,
    /// A database of this server.
    Server(Rc<Server>, &'static str),
}

/// NGINX, two Edges and one Core or more, running.
#[derive(Debug)]
pub(crate) struct Scene {
    // Ends before what it stands on.
    cluster: Cluster,
    pub(crate) seeded: Seeded,
    parts: Vec<Part>,
    _ground: Ground,
}

/// One program, with the processes it started.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    pid: u32,
}

/// What changes when anything is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    commits: u64,
    /// Of SQLite's write-ahead log.
    log: Option<(u64, SystemTime)>,
}

impl Scene {
    /// Fills a store, and starts a system on it.
    pub(crate) async fn set(crowd: Crowd, ground: Ground, cores: usize) -> Result<Self> {
        let seeded = seed::fill(crowd, &ground).await?;
        if let Ground::Server(server, database) = &ground {
            server.look_at_tables(database)?;
        }
        Self::on(seeded, ground, cores).await
    }

    /// Starts a system on what is there.
    pub(crate) async fn on(seeded: Seeded, ground: Ground, cores: usize) -> Result<Self> {
        let mut setup = Setup { core_folder: Some(seeded.folder.path().to_owned()), ..Setup::measured() };
        if let Ground::Server(server, database) = &ground {
            setup.cores = Cores::OnServer(cores);
            setup.core_settings.push(("DATABASE", server.url(database)));
        }
        let cluster = Cluster::start_with(setup).await?;
        let mut parts = vec![Part::of("NGINX", cluster.nginx.process.pid())];
        for edge in &cluster.edges {
            parts.push(Part::of(&edge.name, edge.process.pid()));
        }
        for (number, core) in cluster.cores().enumerate() {
            let name = if number == 0 { "Core".to_owned() } else { format!("Core {}", number + 1) };
            parts.push(Part::of(&name, core.pid()));
        }
        if let Ground::Server(server, _) = &ground {
            parts.push(Part::of("Postgres", server.pid()?));
        }
        Ok(Self { cluster, seeded, parts, _ground: ground })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.cluster.nginx.public
    }

    /// NGINX, the Edges, the Cores, and a server if there is one.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What the Cores have written so far.
    pub(crate) async fn written(&self) -> Result<Written> {
        let mut written = Written { commits: 0, log: None };
        for core in self.cluster.cores() {
            let metrics = core.metrics()?.get("/metrics").await?;
            ensure!(metrics.status == 200, "the metrics of Core: {}", metrics.status);
            written.commits += commits(&metrics.body)?;
        }
        let log = match fs::metadata(self.seeded.folder.path().join("core.db-wal")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(written),
            log => log?,
        };
        Ok(Written { log: Some((log.len(), log.modified()?)), ..written })
    }
}

impl Part {
    fn of(name: &str, pid: u32) -> Self {
        Self { name: name.to_owned(), pid }
    }

    /// Processor time until now, in microseconds.
    pub(crate) fn spent_us(&self) -> Result<f64> {
        Ok(process::processor_time_of_family(self.pid)?.as_micros() as f64)
    }

    /// Memory in use. Processes of one program share some of it, which counts for each.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        process::family(self.pid)?.into_iter().map(process::resident_kib).sum()
    }
}

fn commits(metrics: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(metrics)?;
    let line = text.lines().find_map(|line| line.strip_prefix("postern_core_store_commits_total "));
    Ok(line.context("Core counts no commits")?.trim().parse()?)
}
