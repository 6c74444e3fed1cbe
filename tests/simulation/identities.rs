//! Who the simulated hosts are: real certificates, made once by adopting real Edges on loopback.

use std::sync::LazyLock;

use postern_core_link::{Edge, EdgeId, EdgeTrust};
use postern_edge::{
    identity::IdentityStore,
    testing::{FakeCore, TestEdge},
};

use crate::network::address_of;

/// The Edges of every simulation.
pub(crate) const EDGES: [&str; 3] = ["edge-1", "edge-2", "edge-3"];

/// The host of the Edge of that number, from 0. In a crowd there are more than [`EDGES`], which share their identities.
pub(crate) fn host_of(number: usize) -> String {
    EDGES.get(number).map_or_else(|| format!("edge-{}", number + 1), |name| (*name).to_owned())
}

/// One Edge as it knows itself, and as Core knows it.
#[derive(Debug, Clone)]
pub(crate) struct Adopted {
    pub(crate) identity: IdentityStore,
    pub(crate) edge: Edge,
}

static ADOPTED: LazyLock<Vec<Adopted>> = LazyLock::new(|| {
    // A simulation has a runtime of its own on this thread, in which no other can run.
    std::thread::scope(|scope| scope.spawn(adopt_all).join().expect("Edges can be adopted"))
});

/// All of them, in the order of [`EDGES`].
pub(crate) fn adopted() -> &'static [Adopted] {
    &ADOPTED
}

fn adopt_all() -> Vec<Adopted> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let core = FakeCore::new();
        let mut adopted = Vec::new();
        for at in 0..EDGES.len() {
            adopted.push(adopt(&core, at).await);
        }
        adopted
    })
}

async fn adopt(core: &FakeCore, at: usize) -> Adopted {
    let (id, name) = (EdgeId(at as i64 + 1), EDGES[at]);
    let folder = tempfile::tempdir().expect("a folder");
    let started = TestEdge::start(folder.path());
    let mut setup = core.start_setup(started.address, "Bearer simulation").await.expect("a new Edge can be adopted");
    let request = setup.signing_request(name).await.expect("it asks for a certificate");
    let (client_cert, client_key) = core.authority().client("Simulated Core");
    let bundle = core.authority().bundle(&request, &client_cert);
    let trust = EdgeTrust {
        ca_cert: core.authority().certificate().clone(),
        edge_cert: bundle.component_cert_der.clone().into(),
        client_cert,
        client_key,
    };
    setup.send(bundle).await.expect("the bundle fits");
    let identity = started.identity.clone();
    // Its connection would be waited for.
    drop(setup);
    started.stop().await;
    Adopted { identity, edge: Edge { id, address: address_of(at), trust } }
}
