//! How many websockets there may be, in all and for one address, and who owns their tasks.
//!
//! A seat is taken before Core is asked anything, and is free again when the socket ends.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use hyper::upgrade::OnUpgrade;
use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::{
    socket::{self, Wait},
    waiters::Waiters,
};
use crate::peers::{PeerCounts, Place};

/// What one Edge takes on.
#[derive(Debug, Clone, Copy)]
pub struct WebsocketLimits {
    pub websockets_max: NonZeroU32,
    /// By the address of the client, not of a trusted proxy in front.
    pub websockets_max_per_address: NonZeroU32,
    /// How long a socket stays open after the upgrade.
    pub lifetime: Duration,
    /// A peer that answers two pings in a row with silence is gone.
    pub ping_interval: Duration,
    /// After a drain began, sockets are closed shortly before this is over.
    pub grace: Duration,
}

/// All websockets. Clones share them.
#[derive(Debug, Clone)]
pub struct Websockets(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: WebsocketLimits,
    seats: Arc<Semaphore>,
    counts: PeerCounts,
    waiters: Waiters,
    tasks: TaskTracker,
    open: Gauge,
    refused: Counter,
}

/// One websocket's place. Dropping it makes room.
#[derive(Debug)]
pub(super) struct Seat {
    _permit: OwnedSemaphorePermit,
    _place: Place,
    open: Gauge,
}

impl Websockets {
    /// Metrics are registered here: install the recorder before.
    #[must_use]
    pub fn new(limits: WebsocketLimits) -> Self {
        Self(Arc::new(Shared {
            limits,
            seats: Arc::new(Semaphore::new(limits.websockets_max.get() as usize)),
            counts: PeerCounts::new(limits.websockets_max_per_address),
            waiters: Waiters::default(),
            tasks: TaskTracker::new(),
            open: gauge!("postern_edge_websockets"),
            refused: counter!("postern_edge_websockets_refused_total"),
        }))
    }

    /// `None` when every seat is taken, or every one that this address may have.
    pub(super) fn take_seat(&self, address: IpAddr) -> Option<Seat> {
        let shared = &*self.0;
        let place = shared.counts.enter(address);
        let taken = place.zip(Arc::clone(&shared.seats).try_acquire_owned().ok());
        let Some((place, permit)) = taken else {
            shared.refused.increment(1);
            return None;
        };
        shared.open.increment(1);
        Some(Seat { _permit: permit, _place: place, open: shared.open.clone() })
    }

    /// Serves the socket that comes of an upgrade, in a task of its own.
    pub(super) fn serve(&self, seat: Seat, upgrade: OnUpgrade, wait: Wait) {
        let (limits, waiters) = (self.0.limits, self.0.waiters.clone());
        self.0.tasks.spawn(async move {
            socket::serve(upgrade, wait, limits, waiters).await;
            drop(seat);
        });
    }

    /// Returns when no socket is left.
    pub(in crate::http) async fn ended(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.decrement(1);
    }
}
