//! The web certificate that Core sends: checked, then swapped in without closing anything, and never stored.
//!
//! The newest push wins, whichever Core it comes from; what is refused leaves the old one in place.

mod check;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use metrics::gauge;
use postern_proto::proxy::HttpsCerts;
use rustls::ServerConfig;
use tokio::sync::watch;

pub use self::check::CertificateError;
use self::check::{Digest, Material};

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Swapped,
    /// It is what is served already.
    Unchanged,
}

/// The certificate of the public address, if a Core sent one. Clones share it.
#[derive(Debug, Clone)]
pub struct Certificates {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    current: watch::Sender<Option<Arc<WebCertificate>>>,
    /// HTTPS is listened for.
    is_served: AtomicBool,
    /// A stock Core sends the same again with each tunnel: one line in the log is enough.
    last_refused: Mutex<Option<Digest>>,
}

/// One certificate, ready for handshakes. Sessions are resumed under the same certificate only.
#[derive(Debug)]
struct WebCertificate {
    tls: Arc<ServerConfig>,
    digest: Digest,
}

impl Default for Certificates {
    fn default() -> Self {
        let shared = Shared {
            current: watch::Sender::new(None),
            is_served: AtomicBool::new(false),
            last_refused: Mutex::new(None),
        };
        Self { shared: Arc::new(shared) }
    }
}

/// Whether a certificate could be served.
pub(crate) fn check(certificate: &HttpsCerts) -> Result<(), CertificateError> {
    Material::parse(certificate)?.server_config().map(drop)
}

impl Certificates {
    /// Takes what Core sent, or refuses it and changes nothing.
    ///
    /// # Errors
    /// [`CertificateError`], with nothing secret in it.
    pub fn take(&self, sent: &HttpsCerts) -> Result<Change, CertificateError> {
        let digest = Digest::of(sent);
        if self.shared.current.borrow().as_ref().is_some_and(|current| current.digest == digest) {
            return Ok(Change::Unchanged);
        }
        let material = Material::parse(sent)?;
        let tls = material.server_config()?;
        self.shared.current.send_replace(Some(Arc::new(WebCertificate { tls, digest })));
        tracing::info!(expires = %material.expires(), sha256 = %material.fingerprint(), "serving a web certificate");
        gauge!("postern_edge_certificate_expiry_timestamp_seconds").set(material.expires().timestamp() as f64);
        Ok(Change::Swapped)
    }

    /// Core has switched TLS off, or has let go of this Edge.
    pub fn clear(&self) {
        if self.shared.current.send_replace(None).is_some() {
            tracing::info!("the web certificate is gone: serving plain HTTP only");
            gauge!("postern_edge_certificate_expiry_timestamp_seconds").set(0.0);
        }
    }

    /// Whether people reach this Edge by TLS: there is a certificate, and a port for it.
    pub fn are_served(&self) -> bool {
        self.shared.is_served.load(Ordering::Relaxed)
    }

    /// True the first time that this push is refused.
    pub(crate) fn is_refused_anew(&self, sent: &HttpsCerts) -> bool {
        let digest = Some(Digest::of(sent));
        let mut last = self.shared.last_refused.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *last, digest) != digest
    }

    pub(crate) fn set_served(&self, is_served: bool) {
        self.shared.is_served.store(is_served, Ordering::Relaxed);
    }

    /// TLS as of now; `None` when there is no certificate any more.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.shared.current.borrow().as_ref().map(|current| Arc::clone(&current.tls))
    }

    /// Waits until there is a certificate.
    pub(crate) async fn held(&self) {
        self.until(Option::is_some).await;
    }

    /// Waits until there is none.
    pub(crate) async fn gone(&self) {
        self.until(Option::is_none).await;
    }

    async fn until(&self, condition: impl Fn(&Option<Arc<WebCertificate>>) -> bool) {
        let waited = self.shared.current.subscribe().wait_for(|current| condition(current)).await.map(drop);
        waited.expect("the sender is in the same place as this borrow");
    }
}
