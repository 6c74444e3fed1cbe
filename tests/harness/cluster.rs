//! A Core, its Edges and an NGINX in a folder of their own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Client, Process, eventually,
    nginx::Nginx,
    ports::Ports,
    process::{self, Launch},
    programs::program,
};

/// How long a program may take to start on a busy machine before a test gives up on it.
pub const START_LIMIT: Duration = Duration::from_secs(20);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    pub edges: usize,
    /// Settings of every Edge beyond the addresses, as environment variables without their prefix.
    pub edge_settings: Vec<(&'static str, String)>,
}

/// Running programs. Dropping it ends them, and prints their logs when the test is failing.
#[derive(Debug)]
pub struct Cluster {
    pub core: Process,
    pub edges: Vec<Edge>,
    pub nginx: Nginx,
    core_environment: Vec<(String, String)>,
    folder: TempDir,
    ports: Ports,
}

/// One Edge and where it listens.
#[derive(Debug)]
pub struct Edge {
    pub process: Process,
    pub name: String,
    pub http: SocketAddr,
    pub tunnel: SocketAddr,
}

impl Default for Setup {
    fn default() -> Self {
        Self { edges: 2, edge_settings: Vec::new() }
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
        let public = loopback(ports.port()?);
        let (core, core_environment) = start_core(folder.path(), &mut ports, public)?;
        let mut edges = Vec::new();
        for number in 1..=setup.edges {
            edges.push(start_edge(folder.path(), &mut ports, public, (number, &setup))?);
        }
        let addresses: Vec<_> = edges.iter().map(|edge| edge.http).collect();
        let nginx = Nginx::start(&folder.path().join("nginx"), public, &addresses)?;
        let cluster = Self { core, edges, nginx, core_environment, folder, ports };
        cluster.settle().await?;
        Ok(cluster)
    }

    /// A client of the public address.
    pub fn public(&self) -> Client {
        Client::new(self.nginx.public)
    }

    /// Runs `postern-core …  --json` and gives what it printed; fails when it fails.
    pub async fn cli(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = tokio::process::Command::from(process::command(&program("postern-core")?));
        let output = command
            .args(arguments)
            .arg("--json")
            .envs(self.core_environment.iter().cloned())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run postern-core")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "postern-core {arguments:?}: {} {said}", output.status);
        serde_json::from_slice(&output.stdout).with_context(|| format!("postern-core {arguments:?} printed no JSON"))
    }

    /// A new person and a token that works now.
    pub async fn invite(&self, login: &str) -> Result<String> {
        let mail = format!("{login}@example.org");
        self.cli(&["user", "add", login, "--email", &mail, "--first-name", "Joe", "--last-name", "Doe"]).await?;
        let invitation = self.cli(&["user", "enroll", login]).await?;
        Ok(invitation["token"].as_str().context("user enroll gave no token")?.to_owned())
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
        Ok(loopback(self.ports.port()?))
    }

    /// Everything that every program wrote.
    pub fn logs(&self) -> String {
        let edges: String = self.edges.iter().map(|edge| titled(&edge.name, &edge.process.log())).collect();
        titled("core", &self.core.log()) + &edges + &titled("nginx", &self.nginx.logs())
    }

    /// The folder of all files of this cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn settle(&self) -> Result<()> {
        let socket = self.folder().join("core/core.sock");
        eventually("postern-core listens on its socket", START_LIMIT, || {
            let socket = socket.clone();
            async move { tokio::net::UnixStream::connect(socket).await.is_ok() }
        })
        .await
        .with_context(|| self.logs())?;
        for edge in &self.edges {
            edge.alive().await.with_context(|| self.logs())?;
            let address = edge.tunnel.to_string();
            self.cli(&["edge", "add", &address, "--name", &edge.name]).await.with_context(|| self.logs())?;
        }
        self.add_location("Office").await?;
        for edge in &self.edges {
            edge.ready(true, START_LIMIT).await.with_context(|| self.logs())?;
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
            eprintln!("{}", self.logs());
        }
    }
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

fn start_core(folder: &Path, ports: &mut Ports, public: SocketAddr) -> Result<(Process, Vec<(String, String)>)> {
    let own = folder.join("core");
    fs::create_dir_all(&own)?;
    let path = |name: &str| own.join(name).display().to_string();
    let environment = settings(
        "POSTERN_CORE__",
        [
            ("DATABASE", path("core.db")),
            ("MASTER_KEY_FILE", path("master.key")),
            ("SOCKET", path("core.sock")),
            ("METRICS_LISTEN", loopback(ports.port()?).to_string()),
            ("PUBLIC_URL", format!("http://{public}/")),
        ],
    );
    let launch = Launch {
        name: "core".to_owned(),
        program: program("postern-core")?,
        arguments: vec!["serve".to_owned()],
        environment: environment.clone(),
        log: folder.join("core.log"),
    };
    Ok((Process::start(launch)?, environment))
}

fn start_edge(folder: &Path, ports: &mut Ports, public: SocketAddr, edge: (usize, &Setup)) -> Result<Edge> {
    let (number, setup) = edge;
    let name = format!("edge-{number}");
    let [http, tunnel, metrics] = [ports.port()?, ports.port()?, ports.port()?].map(loopback);
    let identity: PathBuf = folder.join(&name);
    let mut environment = settings(
        "POSTERN_EDGE__",
        [
            ("HTTP_LISTEN", http.to_string()),
            ("TUNNEL_LISTEN", tunnel.to_string()),
            ("METRICS_LISTEN", metrics.to_string()),
            ("PUBLIC_URL", format!("http://{public}/")),
            ("IDENTITY_DIR", identity.display().to_string()),
            ("TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
            ("ADOPTION_FROM", "127.0.0.0/8".to_owned()),
            ("NAME", name.clone()),
            ("EXPOSE_NAME", "true".to_owned()),
        ],
    );
    environment.extend(settings("POSTERN_EDGE__", setup.edge_settings.iter().cloned()));
    let launch = Launch {
        name: name.clone(),
        program: program("postern-edge")?,
        arguments: vec!["serve".to_owned()],
        environment,
        log: folder.join(format!("{name}.log")),
    };
    Ok(Edge { process: Process::start(launch)?, name, http, tunnel })
}

fn settings(prefix: &str, values: impl IntoIterator<Item = (&'static str, String)>) -> Vec<(String, String)> {
    values.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)).collect()
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn titled(name: &str, log: &str) -> String {
    log.lines().map(|line| format!("{name:>8} | {line}\n")).collect()
}
