//! Core is away for a day, and comes back. Time is a fake clock's; listeners, links, pauses between dials, certificates and
//! files are the real ones. Stands alone, so that whoever prints scenarios can use it too.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use futures::future::BoxFuture;
use postern_core_link::{
    Connect, CoreInstance, Edge, EdgeAddress, EdgeId, EdgeTrust, Greeting, Handler, Io, Limits, Reply, Request,
    Supervisor, SupervisorConfig, Surroundings,
};
use postern_edge::{
    adoption::AdoptionPolicy,
    certificate::Certificates,
    identity::IdentityStore,
    testing::{FakeCore, TestEdge, no_acme},
    tunnel::{
        listener::{TunnelListener, TunnelListenerConfig},
        port::Port,
        push::{KeyId, SessionKeys},
        registry::TunnelRegistry,
    },
};
use postern_proto::{
    limits::SESSION_KEY_LENGTH,
    link::{SessionKey, SessionKeyRing},
    rejection::Rejection,
};
use tokio::{
    io::{DuplexStream, copy_bidirectional, duplex},
    sync::{Mutex as TurnLock, mpsc},
    task::JoinSet,
    time::{Instant, pause, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

/// How long Core is away.
pub(crate) const ABSENCE: Duration = Duration::from_secs(24 * 3_600);
const EDGES: usize = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// A run that takes longer in the clock's time has failed.
const READY_MAX: Duration = Duration::from_secs(30);
const PIPE: usize = 64 * 1024;

/// In which way Core is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// Its process has ended, and a new one begins.
    Process,
    /// Its process dials all the time, and nobody answers.
    Network,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Return {
    /// From the moment from which Core could be there until its first dial.
    pub(crate) dialled: Duration,
    /// From Core's first dial of an Edge until that Edge was ready: the slowest.
    pub(crate) ready: Duration,
    /// Every file of every identity has the same bytes as before.
    pub(crate) identities_are_kept: bool,
}

/// Plays it, in a thread and a runtime of its own.
pub(crate) fn play(absence: Absence) -> Return {
    thread::scope(|scope| scope.spawn(|| in_fake_time(absence)).join().expect("it does not panic"))
}

fn in_fake_time(absence: Absence) -> Return {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let edges = adopt_all(folder.path()).await;
        // Adoption takes real sockets. From here on there are none, so nothing is waited for but the clock.
        pause();
        leave_and_come_back(absence, &edges, folder.path()).await
    })
}

async fn leave_and_come_back(absence: Absence, edges: &[AwayEdge], folder: &Path) -> Return {
    let identities = files_below(folder);
    let network = PipeNetwork::new(edges);
    let mut core = Some(start_core(&network, edges));
    until("every Edge is ready", || edges.iter().all(AwayEdge::is_ready)).await;

    network.leave();
    if absence == Absence::Process {
        core = None;
    }
    until("every Edge has lost its Core", || !edges.iter().any(AwayEdge::is_ready)).await;
    sleep(ABSENCE).await;

    let back = Instant::now();
    network.come_back();
    let _core = core.unwrap_or_else(|| start_core(&network, edges));
    let mut ready_at = vec![None; edges.len()];
    until("every Edge is ready again", || {
        for (edge, at) in edges.iter().zip(&mut ready_at) {
            if edge.is_ready() && at.is_none() {
                *at = Some(Instant::now());
            }
        }
        ready_at.iter().all(Option::is_some)
    })
    .await;
    let first_dials = network.first_dials_since(back);
    let slowest = ready_at.iter().zip(&first_dials).filter_map(|(ready, dialled)| Some((*ready)? - *dialled)).max();
    Return {
        dialled: first_dials.iter().min().map_or(Duration::MAX, |dialled| *dialled - back),
        ready: slowest.unwrap_or(Duration::MAX),
        identities_are_kept: files_below(folder) == identities && !identities.is_empty(),
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let by = Instant::now() + READY_MAX;
    while !is_so() {
        assert!(Instant::now() < by, "not within {READY_MAX:?}: {what}");
        sleep(LOOK_AGAIN).await;
    }
}

fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("its entries are there").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            let bytes = fs::read(&path).expect("its files are there");
            files.insert(path.display().to_string(), bytes);
        }
    }
    files
}

/// An Edge with an identity on disk, whose port is a pipe. Dropping it ends it.
struct AwayEdge {
    edge: Edge,
    registry: TunnelRegistry,
    port: mpsc::Sender<DuplexStream>,
    _running: JoinSet<()>,
}

async fn adopt_all(folder: &Path) -> Vec<AwayEdge> {
    let core = FakeCore::new();
    let mut edges = Vec::new();
    for number in 0..EDGES {
        edges.push(AwayEdge::adopt(&core, number, &folder.join(number.to_string())).await);
    }
    edges
}

impl AwayEdge {
    async fn adopt(core: &FakeCore, number: usize, folder: &Path) -> Self {
        let started = TestEdge::start(folder);
        let setup = core.start_setup(started.address, "Bearer absence").await;
        let mut setup = setup.expect("a new Edge can be adopted");
        let request = setup.signing_request("edge").await.expect("it asks for a certificate");
        let (client_cert, client_key) = core.authority().client("Core");
        let bundle = core.authority().bundle(&request, &client_cert);
        let (ca_cert, edge_cert) = (core.authority().certificate().clone(), bundle.component_cert_der.clone().into());
        let trust = EdgeTrust { ca_cert, edge_cert, client_cert, client_key };
        setup.send(bundle).await.expect("the bundle fits");
        // Its connection would be waited for.
        drop(setup);
        started.stop().await;
        let address = format!("edge:{}", number + 1).parse().expect("a name and a port");
        let id = EdgeId(i64::try_from(number).expect("there are few") + 1);
        Self::start(Edge { id, address, trust }, IdentityStore::open(folder).expect("it was written whole"))
    }

    fn start(edge: Edge, identity: IdentityStore) -> Self {
        let (port, connections) = mpsc::channel(16);
        let registry = TunnelRegistry::new(SessionKeys::default());
        let listener = TunnelListener::new(TunnelListenerConfig {
            port: PipePort(TurnLock::new(connections)),
            identity,
            adoption: AdoptionPolicy { from: Vec::new(), window: Duration::ZERO },
            registry: registry.clone(),
            acme: no_acme(),
            certificates: Certificates::default(),
        });
        let mut running = JoinSet::new();
        running.spawn(listener.run(CancellationToken::new()));
        Self { edge, registry, port, _running: running }
    }

    fn is_ready(&self) -> bool {
        self.registry.is_ready()
    }
}

struct PipePort(TurnLock<mpsc::Receiver<DuplexStream>>);

impl Port for PipePort {
    type Io = DuplexStream;

    async fn accept(&self) -> (DuplexStream, SocketAddr) {
        match self.0.lock().await.recv().await {
            Some(io) => (io, (Ipv4Addr::LOCALHOST, 1).into()),
            None => std::future::pending().await,
        }
    }
}

/// Core's way to every Edge, which can be away. Clones are the same.
#[derive(Clone)]
struct PipeNetwork(Arc<Pipes>);

struct Pipes {
    edges: Vec<mpsc::Sender<DuplexStream>>,
    is_away: AtomicBool,
    /// Number of the Edge, and when.
    dials: Mutex<Vec<(usize, Instant)>>,
    connections: Mutex<JoinSet<()>>,
}

impl PipeNetwork {
    fn new(edges: &[AwayEdge]) -> Self {
        Self(Arc::new(Pipes {
            edges: edges.iter().map(|edge| edge.port.clone()).collect(),
            is_away: AtomicBool::new(false),
            dials: Mutex::default(),
            connections: Mutex::default(),
        }))
    }

    fn leave(&self) {
        self.0.is_away.store(true, Ordering::SeqCst);
        drop(std::mem::take(&mut *self.0.connections.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    fn come_back(&self) {
        self.0.is_away.store(false, Ordering::SeqCst);
    }

    /// In the order of the Edges.
    fn first_dials_since(&self, since: Instant) -> Vec<Instant> {
        let dials = self.0.dials.lock().unwrap_or_else(PoisonError::into_inner);
        let first = |number| dials.iter().find(|(of, at)| *of == number && *at >= since).map(|(_, at)| *at);
        (0..self.0.edges.len()).filter_map(first).collect()
    }

    fn open(&self, address: &EdgeAddress) -> io::Result<Box<dyn Io>> {
        let number = usize::from(address.port()) - 1;
        self.0.dials.lock().unwrap_or_else(PoisonError::into_inner).push((number, Instant::now()));
        if self.0.is_away.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        let ((ours, mut near), (mut far, theirs)) = (duplex(PIPE), duplex(PIPE));
        self.0.edges[number].try_send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        let mut connections = self.0.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.spawn(async move { drop(copy_bidirectional(&mut near, &mut far).await) });
        Ok(Box::new(ours))
    }
}

impl Connect for PipeNetwork {
    fn connect<'a>(&'a self, address: &'a EdgeAddress) -> BoxFuture<'a, io::Result<Box<dyn Io>>> {
        Box::pin(async move { self.open(address) })
    }
}

fn start_core(network: &PipeNetwork, edges: &[AwayEdge]) -> Supervisor {
    let surroundings = Surroundings { network: Box::new(network.clone()), ..Surroundings::default() };
    let config = SupervisorConfig { instance: CoreInstance::random(), greeting: greeting(), limits: Limits::default() };
    let core = Supervisor::start_in(surroundings, config, Unasked);
    core.set_edges(edges.iter().map(|edge| edge.edge.clone()).collect());
    core
}

fn greeting() -> Greeting {
    let key = [7; SESSION_KEY_LENGTH];
    let id = KeyId::of(&key).0.to_vec();
    let ring = SessionKeyRing { epoch: 1, primary_id: id.clone(), keys: vec![SessionKey { id, key: key.to_vec() }] };
    Greeting::new(ring).expect("the primary is in the ring")
}

/// Nobody asks for anything here.
struct Unasked;

impl Handler for Unasked {
    async fn handle(&self, _: Request) -> Reply {
        Err(Rejection::new(Code::Unimplemented, "nobody asks for this here"))
    }
}
