//! The real programs, each on its host.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use postern_tests::{
    Client, Commands, FaultProxy, Namespace, OpenIdProvider, Process,
    cluster::{Edge, START_LIMIT},
    eventually,
    haproxy::HaProxy,
    nginx::Nginx,
    openid_provider::{CLIENT_ID, CLIENT_SECRET},
    process::Launch,
    programs::program,
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::timeout,
};

use crate::place::{FRONT_INSIDE, FRONT_OUTSIDE, INTRANET, Place, core_address, edge_address};

const HTTP_PORT: u16 = 8080;
pub(crate) const TUNNEL_PORT: u16 = 50051;
const LOCATION: &str = "Office";
/// A refusal would be here long before.
const FIREWALL_PATIENCE: Duration = Duration::from_millis(300);

/// What keeps people, devices and operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    OneOnSqlite,
}

/// What stands in front of the Edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    Nginx,
    HaProxy,
}

/// How Core reaches its Edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tunnels {
    Direct,
    /// Through a relay in the DMZ, which can cut them all in one moment.
    ThroughFaultProxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) cores: Cores,
    pub(crate) edges: usize,
    pub(crate) tunnels: Tunnels,
    pub(crate) front: Front,
}

/// Where threads of this program run, beside those in front.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    pub(crate) public: Handle,
    pub(crate) intranet: Handle,
}

/// Everything that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) edges: Vec<Edge>,
    pub(crate) provider: Arc<OpenIdProvider>,
    pub(crate) relay: Option<FaultProxy>,
    pub(crate) hosts: Hosts,
    proxy: Proxy,
    core: Process,
    core_environment: Vec<(String, String)>,
    folder: TempDir,
}

/// A front that runs.
#[derive(Debug)]
enum Proxy {
    Nginx(Nginx),
    HaProxy(HaProxy),
}

impl Proxy {
    fn start(front: Front, folder: &Path, edges: &[SocketAddr]) -> Result<Self> {
        match front {
            Front::Nginx => Nginx::start(folder, public(), edges).map(Self::Nginx),
            Front::HaProxy => HaProxy::start(folder, public(), edges).map(Self::HaProxy),
        }
    }

    fn logs(&self) -> String {
        match self {
            Self::Nginx(nginx) => nginx.logs(),
            Self::HaProxy(haproxy) => haproxy.process.log(),
        }
    }
}

impl Setup {
    pub(crate) fn cores(self) -> usize {
        match self.cores {
            Cores::OneOnSqlite => 1,
        }
    }
}

impl System {
    /// Everything started, adopted and ready. The calling thread must be on the host in front.
    pub(crate) async fn start(place: &Place, setup: Setup, hosts: Hosts) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postern-chaos-").tempdir()?;
        let provider = Arc::new(hosts.intranet.spawn(OpenIdProvider::start()).await??);
        let (core, core_environment) = start_core(&place.cores[0], folder.path(), provider.issuer())?;
        let edges = place.edges.iter().enumerate();
        let edges: Vec<_> =
            edges.map(|(index, host)| start_edge(host, folder.path(), index + 1)).collect::<Result<_>>()?;
        let tunnels: Vec<_> = edges.iter().map(|edge| edge.tunnel).collect();
        let relay = match setup.tunnels {
            Tunnels::Direct => None,
            Tunnels::ThroughFaultProxy => Some(FaultProxy::start(FRONT_INSIDE.into(), &tunnels).await?),
        };
        let listens: Vec<_> = edges.iter().map(|edge| edge.http).collect();
        let proxy = Proxy::start(setup.front, &folder.path().join("proxy"), &listens)?;
        let system = Self { edges, provider, relay, hosts, proxy, core, core_environment, folder };
        system.settle(&tunnels).await.with_context(|| system.last_words())?;
        Ok(system)
    }

    /// For use on the public host only.
    pub(crate) fn client(&self) -> Client {
        Client::new(public())
    }

    pub(crate) fn commands(&self) -> Commands {
        Commands::new(self.core_environment.clone())
    }

    /// Waits until every Edge is ready.
    pub(crate) async fn ready(&self, within: Duration) -> Result<()> {
        for edge in &self.edges {
            edge.ready(true, within).await?;
        }
        Ok(())
    }

    /// The ends of all logs, for whoever must find out what went wrong.
    pub(crate) fn last_words(&self) -> String {
        let edges = self.edges.iter().map(|edge| (edge.name.as_str(), edge.process.log()));
        let logs = edges.chain([("core", self.core.log()), ("proxy", self.proxy.logs())]);
        logs.map(|(name, log)| last_lines(name, &log)).collect()
    }

    /// Somebody listens on Core's host, and nobody outside gets as much as a refusal.
    async fn intranet_is_closed(&self) -> Result<()> {
        let listener = self.hosts.intranet.spawn(TcpListener::bind((core_address(1), 0))).await??;
        let address = listener.local_addr()?;
        let reached = timeout(FIREWALL_PATIENCE, TcpStream::connect(address)).await;
        ensure!(reached.is_err(), "the firewall of the intranet answers: {reached:?}");
        Ok(())
    }

    async fn settle(&self, tunnels: &[SocketAddr]) -> Result<()> {
        let socket = self.folder.path().join("core/core.sock");
        eventually("postern-core listens on its socket", START_LIMIT, || async {
            tokio::net::UnixStream::connect(&socket).await.is_ok()
        })
        .await?;
        let dialled = self.relay.as_ref().map_or(tunnels, FaultProxy::addresses);
        for (edge, address) in self.edges.iter().zip(dialled) {
            edge.alive().await?;
            self.commands().json(&["edge", "add", &address.to_string(), "--name", &edge.name]).await?;
        }
        self.commands().add_location(LOCATION, 77, "internal").await?;
        self.ready(START_LIMIT).await?;
        self.intranet_is_closed().await?;
        let front = Client::new(public());
        eventually("the proxy answers", START_LIMIT, || async { front.get("/livez").await.is_ok() }).await?;
        Ok(())
    }
}

/// Where people call.
pub(crate) fn public() -> SocketAddr {
    (FRONT_OUTSIDE, 80).into()
}

fn start_core(host: &Namespace, folder: &Path, issuer: &str) -> Result<(Process, Vec<(String, String)>)> {
    let own = folder.join("core");
    fs::create_dir_all(&own)?;
    let secret = own.join("openid-client-secret");
    fs::write(&secret, CLIENT_SECRET)?;
    let path = |name: &str| own.join(name).display().to_string();
    let environment = settings(
        "POSTERN_CORE__",
        [
            ("DATABASE", path("core.db")),
            ("MASTER_KEY_FILE", path("master.key")),
            ("SOCKET", path("core.sock")),
            ("METRICS_LISTEN", "127.0.0.1:9465".to_owned()),
            ("PUBLIC_URL", format!("http://{}/", public())),
            ("OPENID_ISSUER", issuer.to_owned()),
            ("OPENID_CLIENT_ID", CLIENT_ID.to_owned()),
            ("OPENID_CLIENT_SECRET_FILE", secret.display().to_string()),
        ],
    );
    let launch = Launch {
        name: "core".to_owned(),
        program: program("postern-core")?,
        arguments: vec!["serve".to_owned()],
        environment: environment.clone(),
        log: folder.join("core.log"),
    };
    Ok((Process::start(host.inside(launch))?, environment))
}

fn start_edge(host: &Namespace, folder: &Path, number: usize) -> Result<Edge> {
    let name = format!("edge-{number}");
    let own: IpAddr = edge_address(number).into();
    let [http, https, tunnel] = [HTTP_PORT, 8443, TUNNEL_PORT].map(|port| SocketAddr::from((own, port)));
    let environment = settings(
        "POSTERN_EDGE__",
        [
            ("HTTP_LISTEN", http.to_string()),
            ("HTTPS_LISTEN", https.to_string()),
            ("TUNNEL_LISTEN", tunnel.to_string()),
            ("METRICS_LISTEN", "127.0.0.1:9464".to_owned()),
            ("PUBLIC_URL", format!("http://{}/", public())),
            ("IDENTITY_DIR", folder.join(&name).display().to_string()),
            ("TRUSTED_PROXIES", format!("{FRONT_INSIDE}/32")),
            ("ADOPTION_FROM", format!("{INTRANET},{FRONT_INSIDE}/32")),
            ("NAME", name.clone()),
        ],
    );
    let launch = Launch {
        name: name.clone(),
        program: program("postern-edge")?,
        arguments: vec!["serve".to_owned()],
        environment,
        log: folder.join(format!("{name}.log")),
    };
    Ok(Edge { process: Process::start(host.inside(launch))?, name, http, https, tunnel })
}

fn settings(prefix: &str, values: impl IntoIterator<Item = (&'static str, String)>) -> Vec<(String, String)> {
    values.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)).collect()
}

fn last_lines(name: &str, log: &str) -> String {
    const LINES: usize = 15;
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("{name:>8} | {line}\n")).collect()
}
