//! A Core, its Edges and an NGINX in a folder of their own.

mod core;
mod edge;
mod moving;
mod start;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use self::start::{Site, start_cores, start_edge};
pub use self::{core::Core, edge::Edge};
use crate::{Client, Commands, eventually, nginx::Nginx, ports::Ports, postgres::Database, secrets};

/// How long a program may take to start on a busy machine before a test gives up on it.
pub const START_LIMIT: Duration = Duration::from_secs(20);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    pub edges: usize,
    pub cores: Cores,
    /// Each Core in a zone of its own, and each Edge in that of the Core with its number: so a test knows who answers.
    pub zones: bool,
    /// Of Edges and Core. They say all they can, so that a secret has no place to hide; who measures says less.
    pub log_level: &'static str,
    /// Settings of every Edge beyond the addresses, as environment variables without their prefix.
    pub edge_settings: Vec<(&'static str, String)>,
    /// The same for Core.
    pub core_settings: Vec<(&'static str, String)>,
    /// A folder with a `master.key` and, on SQLite, a `core.db` made beforehand, used in place; it needs a location.
    pub core_folder: Option<PathBuf>,
}

/// How many Cores, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    OneOnSqlite,
    /// They share an empty database, and begin at the same moment.
    OnPostgres(usize),
    /// They share a database made beforehand, which `core_settings` names.
    OnServer(usize),
}

/// Running programs. Dropping it ends them, prints their logs when the test is failing, and fails it when a log holds a
/// secret.
#[derive(Debug)]
pub struct Cluster {
    /// The only one, or the first.
    pub core: Core,
    /// The others on the same database.
    pub beside: Vec<Core>,
    pub edges: Vec<Edge>,
    pub nginx: Nginx,
    database: Option<Database>,
    folder: TempDir,
    ports: Ports,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            edges: 2,
            cores: Cores::OneOnSqlite,
            zones: false,
            log_level: "trace",
            edge_settings: Vec::new(),
            core_settings: Vec::new(),
            core_folder: None,
        }
    }
}

impl Setup {
    /// So many Cores, each in a zone of its own.
    pub fn several_cores(count: usize) -> Self {
        Self { cores: Cores::OnPostgres(count), zones: true, ..Self::default() }
    }

    /// With the logs that are shipped, for figures.
    pub fn measured() -> Self {
        Self { log_level: "info", ..Self::default() }
    }
}

impl Cluster {
    /// Two Edges, adopted and ready, a location, and NGINX in front.
    pub async fn start() -> Result<Self> {
        Self::start_with(Setup::default()).await
    }

    pub async fn start_with(setup: Setup) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postern-test-").tempdir()?;
        let mut ports = Ports::take()?;
        let public = start::loopback(ports.port()?);
        let mut site = Site { folder: folder.path(), ports: &mut ports, public };
        let database = match setup.cores {
            Cores::OneOnSqlite | Cores::OnServer(_) => None,
            Cores::OnPostgres(_) => Some(Database::create()),
        };
        let mut beside = start_cores(&mut site, &setup, database.as_ref())?;
        let core = beside.remove(0);
        let edges =
            (1..=setup.edges).map(|number| start_edge(&mut site, number, &setup)).collect::<Result<Vec<_>>>()?;
        let addresses: Vec<_> = edges.iter().map(|edge| edge.http).collect();
        let nginx = Nginx::start(&folder.path().join("nginx"), public, &addresses)?;
        let cluster = Self { core, beside, edges, nginx, database, folder, ports };
        cluster.settle(setup.core_folder.is_none()).await?;
        Ok(cluster)
    }

    /// A client of the public address.
    pub fn public(&self) -> Client {
        Client::new(self.nginx.public)
    }

    /// Runs `postern-core … --json` and gives what it printed; fails when it fails.
    pub async fn cli(&self, arguments: &[&str]) -> Result<Value> {
        self.commands().json(arguments).await
    }

    /// Runs `postern-core …` and gives what it printed for people; fails when it fails.
    pub async fn cli_text(&self, arguments: &[&str]) -> Result<String> {
        self.commands().text(arguments).await
    }

    /// A new person and a token that works now.
    pub async fn invite(&self, login: &str) -> Result<String> {
        self.commands().invite(login).await
    }

    /// An administrator beside the first Core.
    pub fn commands(&self) -> Commands {
        self.core.commands()
    }

    /// All of them.
    pub fn cores(&self) -> impl Iterator<Item = &Core> {
        std::iter::once(&self.core).chain(&self.beside)
    }

    /// The one that all Cores share.
    pub fn database(&self) -> Result<&Database> {
        self.database.as_ref().context("this cluster is on SQLite")
    }

    /// Where people and their clients call.
    pub fn public_url(&self) -> String {
        format!("http://{}/", self.nginx.public)
    }

    /// One Edge's entry in `edge list`.
    pub async fn listed(&self, name: &str) -> Result<Value> {
        let list = self.cli(&["edge", "list"]).await?;
        let entries = list.as_array().context("edge list is not a list")?;
        entries
            .iter()
            .find(|entry| entry["name"] == name)
            .cloned()
            .with_context(|| format!("{name} is not listed: {list}"))
    }

    /// Ends Core without warning, starts it again, and waits until every Edge is ready.
    pub async fn restart_core(&mut self) -> Result<()> {
        self.core.kill()?;
        for edge in &self.edges {
            edge.ready(false, START_LIMIT).await?;
        }
        self.core.start_again()?;
        self.core_listens().await?;
        for edge in &self.edges {
            edge.ready(true, START_LIMIT).await?;
        }
        Ok(())
    }

    /// Waits until the first Core takes commands.
    pub async fn core_listens(&self) -> Result<Duration> {
        self.core.listens().await
    }

    /// Waits until this Edge says that it is ready, or that it is not.
    pub async fn ready(&self, edge: usize, ready: bool, within: Duration) -> Result<Duration> {
        self.edges[edge].ready(ready, within).await
    }

    /// Waits until NGINX answers.
    pub async fn answers(&self) -> Result<Duration> {
        let public = self.public();
        eventually("NGINX answers", START_LIMIT, || async { public.get("/livez").await.is_ok() }).await
    }

    /// Another address of this cluster's own.
    pub fn address(&mut self) -> Result<SocketAddr> {
        Ok(start::loopback(self.ports.port()?))
    }

    /// Everything that every program wrote.
    pub fn logs(&self) -> String {
        let edges: String = self.edges.iter().map(|edge| titled(&edge.name, &edge.process.log())).collect();
        let cores: String = self.cores().map(|core| titled(&core.name, &core.log())).collect();
        cores + &edges + &titled("nginx", &self.nginx.logs())
    }

    /// The folder of all files of this cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn settle(&self, is_new: bool) -> Result<()> {
        for core in self.cores() {
            core.listens().await.with_context(|| self.logs())?;
        }
        for edge in &self.edges {
            edge.alive().await.with_context(|| self.logs())?;
            let address = edge.tunnel.to_string();
            self.cli(&["edge", "add", &address, "--name", &edge.name]).await.with_context(|| self.logs())?;
        }
        if is_new {
            self.add_location("Office").await?;
        }
        for edge in &self.edges {
            edge.ready(true, START_LIMIT).await.with_context(|| self.logs())?;
        }
        for core in &self.beside {
            core.connected(self.edges.len(), START_LIMIT).await.with_context(|| self.logs())?;
        }
        self.answers().await?;
        Ok(())
    }

    async fn add_location(&self, name: &str) -> Result<()> {
        let key = crate::enrollment::public_key()?;
        let network = ["--endpoint", "vpn.example.org:51820", "--address", "10.77.0.1/16,fd00:77::1/64"];
        let rest = ["--public-key", &key, "--allowed-ips", "10.77.0.0/16", "--mfa", "internal"];
        self.cli(&[&["location", "add", name], &network[..], &rest[..]].concat()).await?;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return eprintln!("{}", self.logs());
        }
        let nginx = self.folder().join("nginx");
        if let Err(error) = secrets::look_for_in_logs(&[self.folder(), &nginx]) {
            panic!("{error:#}");
        }
    }
}

fn titled(name: &str, log: &str) -> String {
    log.lines().map(|line| format!("{name:>8} | {line}\n")).collect()
}
