//! Ordering a web certificate when Core asks for it: the only place from where an Edge dials anybody.
//!
//! Only the one authority of the settings is dialled, nothing is kept here, and a setting forbids all of it. The
//! certificate goes to Core, which sends it to every Edge.

mod account;
mod authority;
mod challenges;
mod domain;
mod error;
mod guests;
mod order;
mod roots;

use std::{net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio::sync::{Semaphore, mpsc};

use self::{authority::Authority, guests::GuestSocket};
pub use self::{
    challenges::Challenges,
    guests::GuestSockets,
    roots::{RootsError, roots},
};
pub(crate) use self::{
    error::AcmeError,
    order::{EVENTS_MAX, Event, Order, Step},
};
use crate::config::AcmeDirectory;

/// Whether and where certificates are ordered.
#[derive(Debug)]
pub struct AcmeConfig {
    pub allowed: bool,
    pub directory: AcmeDirectory,
    /// Who may have signed the authority's own certificate.
    pub roots: RootCertStore,
    /// Where the authority comes to look.
    pub listen: SocketAddr,
    /// Where plain HTTP is served anyway.
    pub http_listen: SocketAddr,
}

/// Takes orders, one at a time. Clones are the same.
#[derive(Debug, Clone)]
pub struct Acme {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    allowed: bool,
    authority: Authority,
    /// `None`: the authority comes to the port that is served anyway.
    port: Option<SocketAddr>,
    challenges: Challenges,
    guests: mpsc::Sender<GuestSocket>,
    turn: Arc<Semaphore>,
}

impl Acme {
    /// Also where the HTTP side finds the port that an order opens.
    pub fn new(config: AcmeConfig, challenges: Challenges) -> (Self, GuestSockets) {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(config.roots)
            .with_no_client_auth();
        let (guests, sockets) = guests::channel();
        let shared = Shared {
            allowed: config.allowed,
            authority: Authority::new(config.directory, tls),
            port: (config.listen.port() != config.http_listen.port()).then_some(config.listen),
            challenges,
            guests,
            turn: Arc::new(Semaphore::new(1)),
        };
        (Self { shared: Arc::new(shared) }, sockets)
    }

    /// An order that is not begun yet; until it is dropped nobody else can order.
    pub(crate) fn order(&self, domain: &str, credentials: &str) -> Result<Order, AcmeError> {
        if !self.shared.allowed {
            return Err(AcmeError::Forbidden);
        }
        let turn = Arc::clone(&self.shared.turn).try_acquire_owned().map_err(|_| AcmeError::Busy)?;
        Ok(Order::new(self.clone(), turn, domain, credentials))
    }
}
