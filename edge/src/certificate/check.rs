//! Whether a certificate and a key are fit for the public address.
//!
//! One from the future is taken: more likely our clock is behind. An expired one would only be refused by clients.

use std::{fmt, sync::Arc};

use postern_proto::proxy::HttpsCerts;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};

use crate::identity::Fingerprint;

/// Chains have two to four; each one more only makes handshakes slower.
const CHAIN_MAX: usize = 10;
/// Of certificates and key together.
const PEM_MAX: usize = 64 * 1024;

/// Why a certificate is refused.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("certificate and key have {length} bytes, more than {PEM_MAX}")]
    TooLong { length: usize },
    #[error("there is no certificate in it")]
    NoCertificate,
    #[error("the chain has more than {CHAIN_MAX} certificates")]
    ChainTooLong,
    #[error("certificate {number} of the chain cannot be read")]
    Unreadable { number: usize },
    // Without a source: that would show what stands in the text of the key.
    #[error("there is no private key in it that can be read")]
    NoKey,
    #[error("the certificate expired on {expired}")]
    Expired { expired: ASN1Time },
    #[error("the certificate is not one for servers")]
    NotForServers,
    #[error("the key cannot be used with the certificate")]
    Key(#[source] rustls::Error),
}

/// Names a pair of certificate and key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest(Fingerprint);

impl Digest {
    pub(super) fn of(sent: &HttpsCerts) -> Self {
        let length = (sent.cert_pem.len() as u64).to_be_bytes();
        Self(Fingerprint::of_parts(&[&length, sent.cert_pem.as_bytes(), sent.key_pem.as_bytes()]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of a private key, even if only a digest.
        f.write_str("Digest(***)")
    }
}

/// A chain with the key of its first certificate.
#[derive(Debug)]
pub(super) struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    expires: ASN1Time,
}

impl Material {
    pub(super) fn parse(sent: &HttpsCerts) -> Result<Self, CertificateError> {
        let length = sent.cert_pem.len() + sent.key_pem.len();
        if length > PEM_MAX {
            return Err(CertificateError::TooLong { length });
        }
        let chain = chain(&sent.cert_pem)?;
        let expires = check_all(&chain)?;
        let key = PrivateKeyDer::from_pem_slice(sent.key_pem.as_bytes()).map_err(|_| CertificateError::NoKey)?;
        Ok(Self { chain, key, expires })
    }

    /// TLS 1.2 and 1.3, HTTP/2 and 1.1, no client certificate. Fails when the key is another one's.
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Key)?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(CertificateError::Key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    pub(super) fn expires(&self) -> ASN1Time {
        self.expires
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.chain[0])
    }
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let number = chain.len() + 1;
        chain.push(certificate.map_err(|_| CertificateError::Unreadable { number })?);
        if chain.len() > CHAIN_MAX {
            return Err(CertificateError::ChainTooLong);
        }
    }
    if chain.is_empty() { Err(CertificateError::NoCertificate) } else { Ok(chain) }
}

/// Each must be readable; the first must be of use to a server now. Says when that expires.
fn check_all(chain: &[CertificateDer<'_>]) -> Result<ASN1Time, CertificateError> {
    let mut expires = ASN1Time::now();
    for (index, der) in chain.iter().enumerate() {
        let unreadable = || CertificateError::Unreadable { number: index + 1 };
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| unreadable())?;
        if !rest.is_empty() {
            return Err(unreadable());
        }
        if index == 0 {
            expires = check_leaf(&certificate).ok_or_else(unreadable)??;
        }
    }
    Ok(expires)
}

/// `None` when its extensions cannot be read.
fn check_leaf(leaf: &X509Certificate<'_>) -> Option<Result<ASN1Time, CertificateError>> {
    let expires = leaf.validity().not_after;
    let purposes = leaf.extended_key_usage().ok()?;
    Some(if expires < ASN1Time::now() {
        Err(CertificateError::Expired { expired: expires })
    } else if purposes.is_some_and(|purposes| !purposes.value.server_auth && !purposes.value.any) {
        Err(CertificateError::NotForServers)
    } else {
        Ok(expires)
    })
}
