//! What the filters are for: a Core that reaches an Edge, and people who reach it through NGINX.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use postern_tests::{
    Checks, Client, Commands, Process, cluster::START_LIMIT, enrollment::enroll, eventually, nginx::Nginx,
    process::Launch, programs::program,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::timeout,
};

use crate::place::{Host, Place, Rules};

/// As NGINX on its host reaches it.
const EDGE: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);
const TUNNEL_PORT: u16 = 50051;
/// Of a way through a VPN; the hosts' own cables take 1500.
const NARROW: u32 = 1280;
const MUCH: usize = 256 * 1024;
const MUCH_MAX: Duration = Duration::from_secs(5);
/// It takes milliseconds where it works.
const STUCK: Duration = Duration::from_secs(1);

/// Both ends are told what fits, and that must come through. Where it does not, nothing larger arrives at all.
pub(crate) fn packets_are_made_to_fit_a_narrow_way(place: &Place, rules: &Rules) -> Result<String> {
    place.narrow_the_way_to(Host::Core, NARROW)?;
    place.narrow_the_way_to(Host::Dmz, NARROW)?;
    let deaf = |rules: &str| rules.replace("related : accept", "related : drop");
    let mut times = Vec::new();
    for to in Host::Dmz.addresses() {
        place.load(&Rules { dmz: deaf(&rules.dmz), intranet: deaf(&rules.intranet) })?;
        ensure!(carry_much(place, to, STUCK).is_err(), "the way to {to} is not narrow at all");
        place.load(rules)?;
        let took = carry_much(place, to, MUCH_MAX).with_context(|| format!("to {to}"))?;
        times.push(took.as_millis().to_string());
    }
    Ok(format!("size={NARROW} bytes={MUCH} ms={}", times.join(",")))
}

/// Both ways over one connection that Core opens.
fn carry_much(place: &Place, to: IpAddr, within: Duration) -> Result<Duration> {
    let (dmz, core) = (place.host(Host::Dmz).runtime(1)?, place.host(Host::Core).runtime(1)?);
    let address = SocketAddr::new(to, TUNNEL_PORT);
    let listener = dmz.block_on(dmz.spawn(TcpListener::bind(address)))??;
    let begun = Instant::now();
    let edge = dmz.spawn(async move { exchange(listener.accept().await?.0).await });
    let core_end = core.spawn(async move { exchange(TcpStream::connect(address).await?).await });
    let both = async { (edge.await, core_end.await) };
    let (edge, core) = core.block_on(async { timeout(within, both).await }).context("it got stuck")?;
    edge??;
    core??;
    Ok(begun.elapsed())
}

async fn exchange(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut incoming, mut outgoing) = stream.split();
    let (mut read, written) = (vec![0; MUCH], vec![7; MUCH]);
    tokio::try_join!(incoming.read_exact(&mut read), outgoing.write_all(&written)).map(drop)
}

/// All programs that run.
struct System {
    edge: Process,
    _core: Process,
    _nginx: Nginx,
    commands: Commands,
    /// Where people are.
    public: Handle,
    _folder: TempDir,
}

pub(crate) fn play(checks: &mut Checks, place: &Place, rules: &Rules) -> Result<()> {
    // NGINX belongs to whichever host it was started on.
    let public = place.host(Host::Public).runtime(1)?;
    place.host(Host::Dmz).within(|| {
        let threads = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        threads.block_on(async {
            let system = System::start(place, public.handle().clone())?;
            if !checks.tell("adopt", system.core_adopts_the_edge().await) {
                return Ok(());
            }
            checks.tell("enroll", system.a_person_enrolls_from_outside("joe").await);
            checks.tell("reload", system.a_tunnel_outlives_new_rules(place, rules).await);
            Ok(())
        })
    })?
}

impl System {
    fn start(place: &Place, public: Handle) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postern-firewall-").tempdir()?;
        let socket = folder.path().join("core.sock");
        let edge = launch(
            folder.path(),
            "postern-edge",
            &[
                ("POSTERN_EDGE__HTTP_LISTEN", SocketAddr::from(EDGE).to_string()),
                ("POSTERN_EDGE__IDENTITY_DIR", folder.path().join("identity").display().to_string()),
                ("POSTERN_EDGE__PUBLIC_URL", format!("http://{}/", Host::Dmz.v4())),
                ("POSTERN_EDGE__TRUSTED_PROXIES", "127.0.0.1/32".to_owned()),
                ("POSTERN_EDGE__ADOPTION_FROM", format!("{}/32,{}/128", Host::Core.v4(), Host::Core.v6())),
            ],
        )?;
        let core = launch(
            folder.path(),
            "postern-core",
            &[
                ("POSTERN_CORE__DATABASE", folder.path().join("core.db").display().to_string()),
                ("POSTERN_CORE__MASTER_KEY_FILE", folder.path().join("master.key").display().to_string()),
                ("POSTERN_CORE__SOCKET", socket.display().to_string()),
                ("POSTERN_CORE__PUBLIC_URL", format!("http://{}/", Host::Dmz.v4())),
            ],
        )?;
        Ok(Self {
            edge: Process::start(place.host(Host::Dmz).inside(edge))?,
            _core: Process::start(place.host(Host::Core).inside(core))?,
            _nginx: Nginx::start(&folder.path().join("nginx"), site(), &[EDGE.into()])?,
            commands: Commands::at(&socket),
            public,
            _folder: folder,
        })
    }

    async fn core_adopts_the_edge(&self) -> Result<String> {
        let listens = || async { self.commands.json(&["user", "list"]).await.is_ok() };
        eventually("Core takes commands", START_LIMIT, listens).await?;
        self.edge_answers("/livez").await?;
        let begun = Instant::now();
        let address = format!("{}:{TUNNEL_PORT}", Host::Dmz.v4());
        self.commands.json(&["edge", "add", &address, "--name", "edge-1"]).await?;
        self.edge_answers("/readyz").await?;
        Ok(format!("ms={}", begun.elapsed().as_millis()))
    }

    async fn edge_answers(&self, path: &str) -> Result<Duration> {
        let edge = Client::new(EDGE.into());
        let call = || async { edge.get(path).await.is_ok_and(|reply| reply.status == 200) };
        eventually(path, START_LIMIT, call).await.with_context(|| self.edge.log())
    }

    async fn a_person_enrolls_from_outside(&self, login: &str) -> Result<String> {
        let token = self.commands.invite(login).await?;
        let begun = Instant::now();
        self.public.spawn(async move { enroll(&Client::new(site()), &token).await }).await??;
        Ok(format!("ms={}", begun.elapsed().as_millis()))
    }

    async fn a_tunnel_outlives_new_rules(&self, place: &Place, rules: &Rules) -> Result<String> {
        place.load(rules)?;
        self.a_person_enrolls_from_outside("jane").await?;
        let tunnels = self.tunnels_so_far();
        ensure!(tunnels == 1, "{tunnels} tunnels so far: {}", self.edge.log());
        Ok(format!("tunnels={tunnels}"))
    }

    fn tunnels_so_far(&self) -> usize {
        self.edge.log().matches("tunnel up tunnel=").count()
    }
}

/// Where people call.
fn site() -> SocketAddr {
    (Host::Dmz.v4(), 80).into()
}

fn launch(folder: &Path, name: &str, environment: &[(&str, String)]) -> Result<Launch> {
    Ok(Launch {
        name: name.to_owned(),
        program: program(name)?,
        arguments: vec!["serve".to_owned()],
        environment: environment.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        log: folder.join(format!("{name}.log")),
    })
}
