//! The tunnel side of an Edge, in this process, on a port of its own.

use std::{net::SocketAddr, path::Path, time::Duration};

use rustls::RootCertStore;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    acme::{Acme, AcmeConfig, Challenges},
    adoption::AdoptionPolicy,
    certificate::Certificates,
    config,
    core_client::{CallContext, CoreClient, OperationId},
    identity::IdentityStore,
    tunnel::{
        listener::{TunnelListener, TunnelListenerConfig},
        port,
        push::SessionKeys,
        registry::TunnelRegistry,
    },
};
use postern_proto::proxy::DeviceInfo;

/// Everything behind the HTTP side. Dropping it ends it.
#[derive(Debug)]
pub struct TestEdge {
    /// Where Core dials.
    pub address: SocketAddr,
    /// What handlers hold.
    pub client: CoreClient,
    /// Its tunnels.
    pub registry: TunnelRegistry,
    /// What seals its cookies.
    pub keys: SessionKeys,
    /// Who it is.
    pub identity: IdentityStore,
    /// What it would serve HTTPS with.
    pub certificates: Certificates,
    close: CancellationToken,
    running: JoinSet<()>,
}

impl TestEdge {
    /// Starts on a free loopback port; anybody on loopback may adopt.
    #[must_use]
    pub fn start(folder: &Path) -> Self {
        let from = vec!["127.0.0.0/8".parse().expect("a network")];
        Self::start_with(folder, AdoptionPolicy { from, window: Duration::from_secs(600) })
    }

    /// The same with another adoption policy.
    #[must_use]
    pub fn start_with(folder: &Path, adoption: AdoptionPolicy) -> Self {
        let identity = IdentityStore::open(folder).expect("the folder can be used");
        let keys = SessionKeys::default();
        let registry = TunnelRegistry::new(keys.clone());
        let certificates = Certificates::default();
        let config = TunnelListenerConfig {
            port: port::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port"),
            identity: identity.clone(),
            adoption,
            registry: registry.clone(),
            acme: no_acme(),
            certificates: certificates.clone(),
        };
        let listener = TunnelListener::new(config);
        let address = listener.local_addr().expect("a bound port");
        let close = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(listener.run(close.clone()));
        Self {
            address,
            client: CoreClient::new(registry.clone()),
            registry,
            keys,
            identity,
            certificates,
            close,
            running,
        }
    }

    /// What goes along with a request that may take this long.
    #[must_use]
    pub fn context(budget: Duration) -> CallContext {
        CallContext {
            device_info: DeviceInfo { ip_address: "192.0.2.1".to_owned(), ..DeviceInfo::default() },
            operation_id: OperationId::random(),
            deadline: Instant::now() + budget,
        }
    }

    /// Ends it in an orderly way.
    pub async fn stop(mut self) {
        self.close.cancel();
        while self.running.join_next().await.is_some() {}
    }
}

/// Orders nothing: that is tried with the whole program.
///
/// # Panics
/// When the defaults of the settings are malformed.
#[must_use]
pub fn no_acme() -> Acme {
    let defaults = config::parse(["postern-edge".into()], []).expect("the defaults are well formed").settings;
    let config = AcmeConfig {
        allowed: false,
        directory: defaults.acme_directory,
        roots: RootCertStore::empty(),
        listen: defaults.acme_listen,
        http_listen: defaults.http_listen,
    };
    Acme::new(config, Challenges::default()).0
}
