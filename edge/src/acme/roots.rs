//! Who may vouch for the authority's own server: the public authorities, and those of a file.

use std::path::{Path, PathBuf};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject as _},
    },
};

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
#[error("no certificates for `acme_ca_file` can be read from {}", path.display())]
pub struct RootsError {
    path: PathBuf,
    #[source]
    source: pem::Error,
}

/// Reads the file, if there is one.
///
/// # Errors
/// [`RootsError`] when there is no certificate in it that can be used.
pub fn roots(file: Option<&Path>) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let Some(path) = file else { return Ok(roots) };
    let unusable = |source| RootsError { path: path.to_owned(), source };
    let certificates = CertificateDer::pem_file_iter(path).map_err(unusable)?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(unusable)?;
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 { Err(unusable(pem::Error::NoItemsFound)) } else { Ok(roots) }
}
