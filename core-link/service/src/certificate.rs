//! The certificate that Edges show to browsers: kept here, sealed, and sent to all of them.
//!
//! An administrator brings it, or an Edge orders it from an ACME authority when Core tells it to. What an Edge sends
//! unasked is never taken: one hostile Edge could then stand in for all of them.

mod checked;
mod ordering;

use std::{fmt, time::Duration};

use postern_core_link::{EdgeAddress, OrderError, WebCertificate};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

pub use checked::{BadCertificate, CheckedCertificate, Description};

use crate::{
    activity::{self, Entry},
    changes::Topic,
    clock::{CLOCKS_APART, Timestamp},
    edges::{EdgeError, Reach},
    lease::{Lease, LeaseLost},
    store::{Store, StoreError, Tx},
};

/// One that is ordered is renewed when so much of its life is left.
const RENEWED_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// A renewal that failed is tried again after this.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// What is kept.
pub struct KeptCertificate {
    /// PEM, the site's own first.
    pub chain: String,
    /// PEM.
    pub key: Zeroizing<String>,
    pub origin: Origin,
    pub stored_at: Timestamp,
    pub renewal: Option<Renewal>,
}

/// Where a certificate came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An administrator brought it.
    Brought,
    /// An Edge ordered it for this domain.
    OrderedFor(String),
}

/// The last try to renew what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    pub tried_at: Timestamp,
    pub error: Option<String>,
}

/// What is kept, for people to look at.
#[derive(Debug)]
pub struct CertificateView {
    pub description: Description,
    pub origin: Origin,
    pub stored_at: Timestamp,
    pub days_left: i64,
    pub renewal: Option<Renewal>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("this certificate cannot be used")]
    Bad(#[from] BadCertificate),
    #[error("there is no certificate")]
    None,
    #[error("{0:?} is no domain that a certificate can be ordered for, such as vpn.example.com")]
    Domain(String),
    #[error("another order is still running")]
    OrderRunning,
    #[error("no Edge is connected that could order a certificate; see `postern-core edge list`")]
    NoEdge,
    #[error("no certificate for {domain} was issued")]
    Order { domain: String, source: Box<OrderError> },
    #[error("{address} sent a certificate that cannot be used; nothing was changed")]
    BadOrdered { address: EdgeAddress, source: BadCertificate },
    #[error("another certificate was stored in the meantime, and stays")]
    Overtaken,
    #[error(transparent)]
    Lease(#[from] LeaseLost),
    #[error(transparent)]
    Edge(#[from] EdgeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What must still be so when a certificate is stored.
#[derive(Debug, Clone)]
enum Condition {
    None,
    /// No other Core has begun an order.
    Leased(Lease),
    /// And the certificate that is renewed is still the one that is kept.
    Renews {
        lease: Lease,
        chain: String,
    },
}

/// Everything that is done with the certificate.
#[derive(Debug)]
pub struct Certificates {
    store: Store,
    reach: Reach,
    /// One change at a time, so that Edges hear of them in the order in which they were stored.
    changes: Semaphore,
    /// One order at a time; a lease says the same to other Cores.
    orders: Semaphore,
}

impl Certificates {
    pub fn new(store: Store, reach: Reach) -> Self {
        Self { store, reach, changes: Semaphore::new(1), orders: Semaphore::new(1) }
    }

    /// What Edges show; `None`: nothing, they serve plain HTTP.
    ///
    /// # Errors
    /// Of the store only.
    pub async fn show(&self) -> Result<Option<CertificateView>, CertificateError> {
        let Some(kept) = kept(&self.store).await? else { return Ok(None) };
        let description = Description::of(&kept.chain)?;
        let days_left = (description.not_after.as_unix() - self.store.now().as_unix()).div_euclid(24 * 60 * 60);
        let KeptCertificate { origin, stored_at, renewal, .. } = kept;
        Ok(Some(CertificateView { description, origin, stored_at, days_left, renewal }))
    }

    /// Stores what an administrator brings, both in PEM, and sends it to every Edge.
    ///
    /// # Errors
    /// When it cannot be used.
    pub async fn set(
        &self,
        actor: &activity::Origin,
        chain_pem: &str,
        key_pem: &str,
    ) -> Result<Description, CertificateError> {
        let certificate = CheckedCertificate::check(chain_pem, key_pem, self.store.now())?;
        let description = certificate.description.clone();
        let entry = Entry::done("certificate_set", actor, description.names.join(" "));
        let _change = self.changes.acquire().await.expect("the semaphore is never closed");
        self.replace(certificate, Origin::Brought, entry, Condition::None).await?;
        tracing::info!(names = ?description.names, "edges show another certificate");
        Ok(description)
    }

    /// Forgets it: every Edge goes back to plain HTTP.
    ///
    /// # Errors
    /// When there is none.
    pub async fn clear(&self, actor: &activity::Origin) -> Result<(), CertificateError> {
        let entry = Entry::done("certificate_cleared", actor, "");
        let _change = self.changes.acquire().await.expect("the semaphore is never closed");
        self.store
            .write::<_, CertificateError, _>(move |tx| {
                Box::pin(async move {
                    if !tx.delete_web_certificate().await? {
                        return Err(CertificateError::None);
                    }
                    tx.announce(Topic::WebCertificate).await?;
                    Ok(tx.record(&entry).await?)
                })
            })
            .await?;
        self.reach.set_web_certificate(None);
        tracing::info!("edges show no certificate any more");
        Ok(())
    }

    /// Follows what another Core has stored.
    ///
    /// # Errors
    /// Of the store only.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _change = self.changes.acquire().await.expect("the semaphore is never closed");
        self.reach.set_web_certificate(stored(&self.store).await?);
        Ok(())
    }

    /// Stores it and sends it out. The caller holds the permit for changes.
    async fn replace(
        &self,
        certificate: CheckedCertificate,
        origin: Origin,
        entry: Entry,
        condition: Condition,
    ) -> Result<(), CertificateError> {
        let CheckedCertificate { chain, key, .. } = certificate;
        let push = WebCertificate::new(chain.clone(), key.to_string());
        self.store
            .write::<_, CertificateError, _>(move |tx| {
                Box::pin(async move {
                    condition.check(tx).await?;
                    tx.replace_web_certificate(&chain, &key, &origin).await?;
                    tx.announce(Topic::WebCertificate).await?;
                    Ok(tx.record(&entry).await?)
                })
            })
            .await?;
        self.reach.set_web_certificate(Some(push));
        Ok(())
    }
}

/// What each tunnel is told of the certificate from the start.
///
/// # Errors
/// Of the store only.
pub async fn stored(store: &Store) -> Result<Option<WebCertificate>, StoreError> {
    Ok(kept(store).await?.map(|kept| WebCertificate::new(kept.chain, kept.key.to_string())))
}

async fn kept(store: &Store) -> Result<Option<KeptCertificate>, StoreError> {
    store.read(|tx| Box::pin(tx.web_certificate())).await
}

impl Condition {
    async fn check(&self, tx: &mut Tx) -> Result<(), CertificateError> {
        let (lease, renewed) = match self {
            Self::None => return Ok(()),
            Self::Leased(lease) => (lease, None),
            Self::Renews { lease, chain } => (lease, Some(chain)),
        };
        if !tx.holds_lease(*lease).await? {
            return Err(LeaseLost.into());
        }
        if let Some(chain) = renewed
            && tx.web_certificate().await?.is_none_or(|kept| kept.chain != *chain)
        {
            return Err(CertificateError::Overtaken);
        }
        Ok(())
    }
}

impl KeptCertificate {
    /// The domain for which another one is to be ordered now, if any.
    fn due(&self, now: Timestamp) -> Option<&str> {
        let Origin::OrderedFor(domain) = &self.origin else { return None };
        // A try that is still to come is from a clock that was ahead.
        let is_recent =
            |tried_at: Timestamp| tried_at <= now.after(CLOCKS_APART) && now < tried_at.after(RENEWAL_INTERVAL);
        let waits = self.renewal.as_ref().is_some_and(|last| is_recent(last.tried_at));
        // What cannot be read ended long ago, as far as browsers are concerned.
        let ends = Description::of(&self.chain).map_or(now, |description| description.not_after);
        (!waits && ends <= now.after(RENEWED_BEFORE)).then_some(domain)
    }
}

impl fmt::Debug for KeptCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptCertificate").field("origin", &self.origin).field("key", &"***").finish_non_exhaustive()
    }
}
