//! What is left of an Edge's request to sign: a P-256 key of which it has shown that it holds the private half.

use rcgen::{PublicKeyData, SignatureAlgorithm};
use x509_parser::{
    certification_request::X509CertificationRequest,
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256},
    prelude::FromDer,
    x509::SubjectPublicKeyInfo,
};

/// An uncompressed point of P-256: one byte that says so, and two coordinates.
const POINT_LENGTH: usize = 65;

/// A key that may be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgePublicKey {
    point: Vec<u8>,
}

/// Why a request is not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    #[error("the request to sign cannot be read")]
    Malformed,
    #[error("the key in the request to sign is not of P-256")]
    WrongKey,
    #[error("the request to sign is not signed by its own key")]
    BadSignature,
}

impl EdgePublicKey {
    /// Reads a PKCS #10 request in DER. Subject, names and extensions that it asks for are not looked at.
    ///
    /// # Errors
    /// [`CsrError`]
    pub fn from_csr(der: &[u8]) -> Result<Self, CsrError> {
        let (rest, csr) = X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::Malformed);
        }
        let key = &csr.certification_request_info.subject_pki;
        let point = key.subject_public_key.data.as_ref();
        if !is_p256(key)
            || point.len() != POINT_LENGTH
            || csr.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256
        {
            return Err(CsrError::WrongKey);
        }
        csr.verify_signature().map_err(|_| CsrError::BadSignature)?;
        Ok(Self { point: point.to_vec() })
    }
}

fn is_p256(key: &SubjectPublicKeyInfo<'_>) -> bool {
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256)
}

impl PublicKeyData for EdgePublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}
