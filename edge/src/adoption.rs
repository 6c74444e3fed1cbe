//! Takes a new Edge's identity from the Core that adopts it.
//!
//! The stock flow is plaintext and trusts whoever comes first, so it is narrowed: by source address,
//! by a window of time, and after a Purge to the same CA. An identity is on disk before Core hears OK.

mod log;
mod service;
mod session;
mod signing_request;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ipnet::IpNet;
use tokio::time::Instant;

use crate::{
    certificate::Certificates,
    identity::{IdentityError, IdentityStore},
    tunnel::registry::TunnelRegistry,
};

/// Who may adopt this Edge, and for how long it waits.
#[derive(Debug, Clone)]
pub struct AdoptionPolicy {
    /// Addresses that may call.
    pub from: Vec<IpNet>,
    /// From the start, or from a Purge.
    pub window: Duration,
}

impl AdoptionPolicy {
    /// Whether a caller from this address may adopt.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.from.iter().any(|network| network.contains(&address))
    }
}

/// The stage of an Edge without an identity. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Adoption {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    policy: AdoptionPolicy,
    identity: IdentityStore,
    registry: TunnelRegistry,
    certificates: Certificates,
    opened: Mutex<Instant>,
    sessions: session::Sessions,
}

impl Adoption {
    pub(crate) fn new(
        policy: AdoptionPolicy,
        identity: IdentityStore,
        registry: TunnelRegistry,
        certificates: Certificates,
    ) -> Self {
        let (opened, sessions) = (Mutex::new(Instant::now()), session::Sessions::default());
        let shared = Shared { policy, identity, registry, certificates, opened, sessions };
        Self { shared: Arc::new(shared) }
    }

    /// Opens a new window: at the start, and after a Purge.
    pub(crate) fn open_window(&self) {
        *self.opened() = Instant::now();
        tracing::info!(
            window = ?self.shared.policy.window,
            "waiting for a core to adopt this edge: on the core's machine, `postern-core edge add <this host>:<tunnel port>`"
        );
    }

    /// Core lets go of this Edge. Waits for the disk; what it began it finishes.
    pub(crate) fn purge(&self) -> Result<(), IdentityError> {
        self.shared.identity.purge()?;
        tracing::info!("purged by core: the identity is deleted");
        // In this order: a tunnel that is ending takes no key and no certificate any more.
        self.shared.registry.end_all();
        self.shared.registry.forget_core();
        self.shared.certificates.clear();
        self.open_window();
        Ok(())
    }

    pub(crate) fn policy(&self) -> &AdoptionPolicy {
        &self.shared.policy
    }

    fn is_open(&self) -> bool {
        self.opened().elapsed() < self.shared.policy.window
    }

    fn opened(&self) -> MutexGuard<'_, Instant> {
        self.shared.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
