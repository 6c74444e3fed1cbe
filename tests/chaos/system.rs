//! The real programs, each on its host.

mod core;
mod database;
mod proxy;

use std::{
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
    process::Launch,
    programs::program,
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::timeout,
};

pub(crate) use self::core::Core;
pub(crate) use self::database::Database;
use self::{core::Files, proxy::Proxy};
use crate::{
    people::Meeting,
    place::{FRONT_INSIDE, FRONT_OUTSIDE, INTRANET, Place, core_address, edge_address},
};

const HTTP_PORT: u16 = 8080;
pub(crate) const TUNNEL_PORT: u16 = 50051;
const METRICS_PORT: u16 = 9464;
const LOCATION: &str = "Office";
/// A refusal would be here long before.
const FIREWALL_PATIENCE: Duration = Duration::from_millis(300);

/// What keeps people, devices and operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    OneOnSqlite,
    TwoOnPostgres,
    /// Each in a zone of its own, and the Edges in turn in one of both: who goes from one Edge to the next goes from one Core
    /// to the other.
    TwoInZones,
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
    /// Where the proxy is, and who calls an Edge as it does.
    pub(crate) front: Handle,
    pub(crate) intranet: Handle,
}

/// Everything that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) edges: Vec<Edge>,
    pub(crate) provider: Arc<OpenIdProvider>,
    pub(crate) relay: Option<FaultProxy>,
    pub(crate) hosts: Hosts,
    pub(crate) cores: Vec<Core>,
    pub(crate) database: Option<Database>,
    proxy: Proxy,
    folder: TempDir,
}

impl Setup {
    pub(crate) fn cores(self) -> usize {
        match self.cores {
            Cores::OneOnSqlite => 1,
            Cores::TwoOnPostgres | Cores::TwoInZones => 2,
        }
    }

    fn is_on_postgres(self) -> bool {
        self.cores() > 1
    }

    /// The zone of the Edge or Core of this number.
    fn zone(self, number: usize) -> String {
        match self.cores {
            Cores::OneOnSqlite | Cores::TwoOnPostgres => String::new(),
            Cores::TwoInZones => format!("zone-{}", number % 2),
        }
    }
}

impl System {
    /// Everything started, adopted and ready. The calling thread must be on the host in front.
    pub(crate) async fn start(place: &Place, setup: Setup, hosts: Hosts) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postern-chaos-").tempdir()?;
        let provider = Arc::new(hosts.intranet.spawn(OpenIdProvider::start()).await??);
        let database = if setup.is_on_postgres() { Some(Database::start(&place.database)?) } else { None };
        let files = Files { folder: folder.path(), issuer: provider.issuer(), database: database.as_ref() };
        let mut cores = Vec::new();
        for (index, host) in place.cores.iter().enumerate() {
            let core = Core::start(host, &files, index + 1, setup.zone(index + 1))?;
            // The first makes the key that all share.
            core.listens().await.with_context(|| last_lines(&core.name, &core.process.log()))?;
            cores.push(core);
        }
        let start = |(index, host)| start_edge(host, folder.path(), index + 1, setup.zone(index + 1));
        let edges: Vec<_> = place.edges.iter().enumerate().map(start).collect::<Result<_>>()?;
        let tunnels: Vec<_> = edges.iter().map(|edge| edge.tunnel).collect();
        let relay = match setup.tunnels {
            Tunnels::Direct => None,
            Tunnels::ThroughFaultProxy => Some(FaultProxy::start(FRONT_INSIDE.into(), &tunnels).await?),
        };
        let listens: Vec<_> = edges.iter().map(|edge| edge.http).collect();
        let proxy = Proxy::start(setup.front, &folder.path().join("proxy"), &listens)?;
        let system = Self { edges, provider, relay, hosts, cores, database, proxy, folder };
        system.settle(&tunnels).await.with_context(|| system.last_words())?;
        Ok(system)
    }

    /// For use on the public host only.
    pub(crate) fn client(&self) -> Client {
        Client::new(public())
    }

    pub(crate) fn commands(&self) -> Commands {
        self.cores[0].commands()
    }

    /// For people who are to be invited, and call from the public host.
    pub(crate) fn meeting(&self) -> Meeting {
        Meeting { commands: self.commands(), client: self.client(), threads: self.hosts.public.clone() }
    }

    /// Waits until every Edge is ready.
    pub(crate) async fn ready(&self, within: Duration) -> Result<()> {
        for edge in &self.edges {
            edge.ready(true, within).await?;
        }
        Ok(())
    }

    /// Waits until every Edge has a tunnel of every Core.
    pub(crate) async fn linked(&self, within: Duration) -> Result<()> {
        for edge in &self.edges {
            edge.ready(true, within).await?;
            let metrics = edge.metrics()?;
            eventually(&format!("{} has a tunnel of every Core", edge.name), within, || async {
                let gauge = metrics.get("/metrics").await.ok();
                gauge.is_some_and(|reply| value_of(&reply.body, "postern_edge_tunnels") == self.cores.len() as f64)
            })
            .await?;
        }
        Ok(())
    }

    /// How often Edges have asked a second Core, since they were started.
    pub(crate) async fn asked_again(&self) -> Result<u64> {
        let mut times = 0.0;
        for edge in &self.edges {
            times += value_of(&edge.metrics()?.get("/metrics").await?.body, "postern_edge_retries_total");
        }
        Ok(times as u64)
    }

    /// The ends of all logs, for whoever must find out what went wrong.
    pub(crate) fn last_words(&self) -> String {
        let edges = self.edges.iter().map(|edge| (edge.name.as_str(), edge.process.log()));
        let cores = self.cores.iter().map(|core| (core.name.as_str(), core.process.log()));
        let logs = edges.chain(cores).chain([("proxy", self.proxy.logs())]);
        logs.map(|(name, log)| last_lines(name, &log)).collect()
    }

    /// For whoever wants to read whole logs.
    pub(crate) fn keep_files(&mut self) {
        self.folder.disable_cleanup(true);
        eprintln!("files are kept in {}", self.folder.path().display());
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
        let dialled = self.relay.as_ref().map_or(tunnels, FaultProxy::addresses);
        for (edge, address) in self.edges.iter().zip(dialled) {
            edge.alive().await?;
            self.commands().json(&["edge", "add", &address.to_string(), "--name", &edge.name]).await?;
        }
        self.commands().add_location(LOCATION, 77, "internal").await?;
        self.linked(START_LIMIT).await?;
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

fn start_edge(host: &Namespace, folder: &Path, number: usize, zone: String) -> Result<Edge> {
    let name = format!("edge-{number}");
    let own: IpAddr = edge_address(number).into();
    let ports = [HTTP_PORT, 8443, TUNNEL_PORT, METRICS_PORT];
    let [http, https, tunnel, metrics] = ports.map(|port| SocketAddr::from((own, port)));
    let environment = settings(
        "POSTERN_EDGE__",
        [
            ("HTTP_LISTEN", http.to_string()),
            ("HTTPS_LISTEN", https.to_string()),
            ("TUNNEL_LISTEN", tunnel.to_string()),
            ("METRICS_LISTEN", metrics.to_string()),
            ("PUBLIC_URL", format!("http://{}/", public())),
            ("IDENTITY_DIR", folder.join(&name).display().to_string()),
            ("TRUSTED_PROXIES", format!("{FRONT_INSIDE}/32")),
            ("ADOPTION_FROM", format!("{INTRANET},{FRONT_INSIDE}/32")),
            ("NAME", name.clone()),
            ("ZONE", zone),
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

/// A number in what Prometheus reads, 0 where it is not there.
pub(crate) fn value_of(metrics: &[u8], name: &str) -> f64 {
    let text = String::from_utf8_lossy(metrics);
    let of_name = |line: &str| line.strip_prefix(name)?.rsplit(' ').next()?.parse::<f64>().ok();
    text.lines().filter_map(of_name).sum()
}

fn last_lines(name: &str, log: &str) -> String {
    const LINES: usize = 15;
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("{name:>8} | {line}\n")).collect()
}
