//! How long a tunnel is in the registry.

use std::sync::{Arc, atomic::Ordering};

use super::{super::Tunnel, TunnelRegistry};

/// A tunnel's place in the registry. Dropping it takes the tunnel out and fails its callers.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(super) registry: TunnelRegistry,
    pub(super) tunnel: Arc<Tunnel>,
}

impl Lease {
    pub(crate) fn tunnel(&self) -> &Arc<Tunnel> {
        &self.tunnel
    }

    pub(crate) fn registry(&self) -> &TunnelRegistry {
        &self.registry
    }

    /// Core wants nothing new on this tunnel.
    pub(crate) fn drain(&self) {
        self.tunnel.draining.store(true, Ordering::Relaxed);
        self.registry.change(|_| ());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let number = self.tunnel.number;
        self.registry.change(|all| all.retain(|tunnel| tunnel.number != number));
        // After that nobody new picks it; whoever did just now finds it closed.
        self.tunnel.in_flight.close();
        let source = &self.tunnel.source;
        if !self.registry.shared.view.load().all.iter().any(|tunnel| tunnel.source == *source) {
            self.registry.shared.keys.depart(source);
        }
    }
}
