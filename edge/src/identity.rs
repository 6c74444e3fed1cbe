//! An Edge's key and certificate, and the Core that it belongs to, on disk.
//!
//! Four files, all or none: what a crash leaves half done is finished or removed at the next start.
//! Losing Core never deletes anything here; only a Purge or `postern-edge reset` does.

mod bundle;
mod files;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwapOption;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, UnixTime},
};
use tokio_util::sync::CancellationToken;

pub use self::bundle::{Bundle, BundleError};

/// Why an identity cannot be read, stored or removed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot use the folder {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} may be read by anybody, and that cannot be changed: chmod 600", path.display())]
    ReadableByOthers {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "the identity in {} is incomplete: {missing} is missing; put it back, or forget the rest with `postern-edge reset`",
        path.display()
    )]
    Incomplete { path: PathBuf, missing: &'static str },
    #[error("the identity in {} cannot be used", path.display())]
    Unusable {
        path: PathBuf,
        #[source]
        source: BundleError,
    },
    #[error("this edge has an identity already")]
    AlreadyAdopted,
    #[error("this edge belonged to the ca {remembered} before, and not to {found}")]
    OtherAuthority { remembered: String, found: Fingerprint },
}

/// SHA-256 of a CA certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self::of_parts(&[certificate])
    }

    /// The same over several texts, one after the other.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> Self {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        parts.iter().for_each(|part| context.update(part));
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        Self(fingerprint)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who this Edge is, and which Core may open tunnels to it.
#[derive(Debug)]
pub struct Identity {
    tls: Arc<ServerConfig>,
    core_client: CertificateDer<'static>,
    authority: Fingerprint,
    retired: CancellationToken,
}

impl Identity {
    fn of(bundle: &Bundle) -> Result<Self, BundleError> {
        Ok(Self {
            tls: bundle.server_config()?,
            core_client: bundle.core_client().clone(),
            authority: Fingerprint::of(bundle.authority()),
            retired: CancellationToken::new(),
        })
    }

    /// Presents our certificate and demands one of the same CA.
    pub(crate) fn tls(&self) -> &Arc<ServerConfig> {
        &self.tls
    }

    /// Whether a connection with this certificate comes from the Core that adopted us.
    pub(crate) fn is_core(&self, certificate: &CertificateDer<'_>) -> bool {
        self.core_client == *certificate
    }

    /// The CA that both certificates come from.
    #[must_use]
    pub fn authority(&self) -> Fingerprint {
        self.authority
    }

    /// Cancelled when the identity is gone: connections made under it end.
    pub(crate) fn retired(&self) -> &CancellationToken {
        &self.retired
    }
}

/// The identity of this Edge, if it has one. Clones share it.
#[derive(Debug, Clone)]
pub struct IdentityStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    current: ArcSwapOption<Identity>,
    changing: Mutex<()>,
}

impl IdentityStore {
    /// Opens or makes the folder, finishes what a crash interrupted, and reads what is there.
    ///
    /// # Errors
    /// [`IdentityError`] when there is an identity that cannot be used, or none and nowhere to store
    /// one: better no start than a silent return into adoption, or an adoption that must fail.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, IdentityError> {
        let folder = folder.into();
        files::recover(&folder)?;
        let current = match files::read(&folder)? {
            Some(bundle) => Some(identity_of(&folder, &bundle)?),
            None => {
                files::check_writable(&folder)?;
                None
            }
        };
        let shared = Shared { folder, current: ArcSwapOption::new(current), changing: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Who this Edge is now; `None` while it waits for adoption.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Identity>> {
        self.shared.current.load_full()
    }

    /// Stores a new identity durably; only then is it the current one. After a Purge only the same CA
    /// may give one.
    pub(crate) fn save(&self, bundle: &Bundle) -> Result<Arc<Identity>, IdentityError> {
        let _changing = self.lock();
        if self.shared.current.load().is_some() {
            return Err(IdentityError::AlreadyAdopted);
        }
        let identity = identity_of(&self.shared.folder, bundle)?;
        let found = identity.authority();
        if let Some(remembered) = files::remembered(&self.shared.folder)?
            && remembered != found.to_string()
        {
            return Err(IdentityError::OtherAuthority { remembered, found });
        }
        files::write(&self.shared.folder, bundle)?;
        self.shared.current.store(Some(Arc::clone(&identity)));
        Ok(identity)
    }

    /// Deletes the identity, remembers its CA, and ends what was connected under it.
    pub(crate) fn purge(&self) -> Result<(), IdentityError> {
        let _changing = self.lock();
        let Some(identity) = self.current() else { return Ok(()) };
        files::remember(&self.shared.folder, identity.authority())?;
        files::delete(&self.shared.folder)?;
        self.shared.current.store(None);
        identity.retired.cancel();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deletes the identity in this folder and forgets which CA may adopt: any may, from the next start.
///
/// # Errors
/// [`IdentityError`] when a file cannot be deleted; run it again then.
pub fn reset(folder: impl AsRef<Path>) -> Result<(), IdentityError> {
    files::reset(folder.as_ref())
}

fn identity_of(folder: &Path, bundle: &Bundle) -> Result<Arc<Identity>, IdentityError> {
    Identity::of(bundle).map(Arc::new).map_err(|source| IdentityError::Unusable { path: folder.to_owned(), source })
}

/// Now, as certificates count it.
fn now() -> UnixTime {
    UnixTime::now()
}
