//! The port for HTTPS: there as long as Core has a certificate for this Edge, and no longer.
//!
//! A new certificate closes nothing: the next handshake shows it. When the last one goes, connections finish what they
//! do. Plain HTTP is not touched by any of this.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, time::sleep};

use super::{BACKLOG, Door, Entrance};
use crate::{certificate::Certificates, drain::Drain, listen};

/// A port that is taken now may be free soon, and nobody should have to restart us for it.
const BIND_INTERVAL: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Https {
    pub(super) address: SocketAddr,
    pub(super) certificates: Certificates,
}

/// An open port. Dropping it lets its connections finish.
struct Opening<'a> {
    certificates: &'a Certificates,
    closing: Drain,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.certificates.set_served(false);
        self.closing.begin();
    }
}

impl Https {
    pub(super) async fn run(&self, door: &Door) -> Infallible {
        loop {
            self.certificates.held().await;
            let Some(socket) = self.bind().await else { continue };
            tracing::info!(https = %self.address, "listening");
            let closing = Drain::default();
            let entrance = Entrance { tls: Some(self.certificates.clone()), closing: closing.clone() };
            let _opening = Opening { certificates: &self.certificates, closing };
            self.certificates.set_served(true);
            tokio::select! {
                never = door.admit_all(&socket, &entrance) => match never {},
                () = self.certificates.gone() => {}
            }
        }
    }

    /// `None` when the certificate has gone meanwhile.
    async fn bind(&self) -> Option<TcpListener> {
        let mut is_told = false;
        loop {
            let error = match listen::bind(self.address, BACKLOG) {
                Ok(socket) => return Some(socket),
                Err(error) => error,
            };
            if !std::mem::replace(&mut is_told, true) {
                tracing::error!(
                    https = %self.address, %error,
                    "cannot listen for HTTPS: free that port, allow it (CAP_NET_BIND_SERVICE), or set `https_listen`; \
                     plain HTTP goes on, and this is tried again every few seconds"
                );
            }
            tokio::select! {
                () = sleep(BIND_INTERVAL) => {}
                () = self.certificates.gone() => return None,
            }
        }
    }
}
