//! A Core without its socket, on a store of its own.

use std::{num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use postern_core::{
    activity::Origin,
    certificate::Certificates,
    clock::Clock,
    config::{Config, Flags},
    edges::{EdgeError, EdgeView, Edges, Reach, Stage},
    sealing::MasterKey,
    serve::{Following, Installation, dispatcher, start_supervisor},
    store::{Address, Store},
};
use postern_core_link::{EdgeAddress, LinkState, Supervisor};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// A Core without its socket.
pub(crate) struct Core {
    pub(crate) edges: Arc<Edges>,
    pub(crate) certificates: Arc<Certificates>,
    supervisor: Supervisor,
    /// They follow what other Cores on the same store change.
    _following: JoinSet<()>,
    config: Config,
    installation: Installation,
}

impl Core {
    pub(crate) async fn start(folder: &Path) -> Self {
        let config = config(folder);
        let installation = Installation::open(&config).await.unwrap();
        let dispatcher = dispatcher(&config, &installation);
        let supervisor = start_supervisor(&config, &installation, dispatcher).await.unwrap();
        let reach = Reach::Running(supervisor.clone());
        let certificates = Arc::new(Certificates::new(installation.store.clone(), reach.clone()));
        let edges = Arc::new(Edges::new(installation.store.clone(), installation.authority.clone(), reach));
        edges.start_links().await.unwrap();
        let following = Following {
            store: installation.store.clone(),
            supervisor: supervisor.clone(),
            edges: Arc::clone(&edges),
            certificates: Arc::clone(&certificates),
        };
        let mut tasks = JoinSet::new();
        following.start(&mut tasks, &CancellationToken::new());
        Self { edges, certificates, supervisor, _following: tasks, config, installation }
    }

    /// The same store and the same Edges, in the hands of somebody with another clock.
    pub(crate) async fn with_clock(&self, clock: Clock) -> (Certificates, Edges) {
        let store = self.store_with_clock(clock).await;
        let reach = Reach::Running(self.supervisor.clone());
        let edges = Edges::new(store.clone(), self.installation.authority.clone(), reach.clone());
        (Certificates::new(store, reach), edges)
    }

    pub(crate) async fn store_with_clock(&self, clock: Clock) -> Store {
        let key = MasterKey::load(&self.config.master_key_file).unwrap();
        Store::open_with_clock(&self.config.database, key, clock).await.unwrap()
    }

    /// The database and the master key stand in here.
    pub(crate) fn store(&self) -> &Store {
        &self.installation.store
    }

    /// As after SIGKILL, as far as the store is concerned: nothing is tidied up.
    pub(crate) async fn stop(self) {
        self.supervisor.shutdown().await;
        self.installation.store.close().await;
    }

    pub(crate) async fn add(&self, address: &EdgeAddress) -> Result<i64, EdgeError> {
        self.edges.add(&Origin::command_line(), address, None).await.map(|record| record.id)
    }

    pub(crate) fn begin_to_add(&self, address: &EdgeAddress) -> JoinHandle<Result<i64, EdgeError>> {
        let (edges, address) = (self.edges.clone(), address.clone());
        spawn(async move { edges.add(&Origin::command_line(), &address, None).await.map(|record| record.id) })
    }

    pub(crate) async fn list(&self) -> Vec<EdgeView> {
        self.edges.list().await.unwrap()
    }

    /// How many Edges are dialled, or have a tunnel.
    pub(crate) fn links(&self) -> usize {
        self.supervisor.statuses().len()
    }

    pub(crate) async fn events(&self) -> Vec<String> {
        let rows = self.installation.store.read(|tx| Box::pin(postern_core::activity::newest(tx, 100))).await.unwrap();
        rows.into_iter().rev().map(|row| format!("{} {}", row.event, row.outcome)).collect()
    }
}

pub(crate) async fn is_connected(core: &Core) -> bool {
    let states = core.list().await.into_iter().filter_map(|edge| edge.status).map(|status| status.state);
    states.into_iter().any(|state| matches!(state, LinkState::Connected { .. }))
}

pub(crate) async fn stages(core: &Core) -> Vec<Stage> {
    core.list().await.iter().map(|edge| edge.record.stage).collect()
}

pub(crate) async fn until(condition: impl AsyncFn() -> bool) {
    within(async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

#[allow(clippy::disallowed_methods, reason = "an adoption that a test abandons, as a crash does")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

fn config(folder: &Path) -> Config {
    let mut config = Config::load(&Flags::new(), []).unwrap();
    config.database = Address::File(folder.join("core.db"));
    config.master_key_file = folder.join("master.key");
    config.argon2_parallel = NonZeroUsize::MIN;
    config
}
