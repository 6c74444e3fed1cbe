//! Core's own certificate authority: one P-256 key that signs an identity for each Edge, and for Core towards it.
//!
//! From a request to sign it takes the public key and nothing else: names, usage and lifetime are chosen here.
//! Does no I/O; the store keeps the key, sealed.

mod csr;

use std::{net::IpAddr, time::Duration};

use rand::TryRngCore;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use zeroize::Zeroizing;

pub use csr::{CsrError, EdgePublicKey};

/// Of the authority itself.
const AUTHORITY_LIFETIME: Duration = days(3650);

/// Of an identity: what a stock Core gives.
const IDENTITY_LIFETIME: Duration = days(1825);

/// Certificates are valid a little earlier, for hosts whose clock is behind.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// RFC 5280, ub-common-name.
const COMMON_NAME_MAX: usize = 64;

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 60 * 60)
}

/// A certificate and its key, as they are kept.
#[derive(Clone)]
pub struct KeptIdentity {
    pub certificate: CertificateDer<'static>,
    /// PKCS #8.
    pub key: Zeroizing<Vec<u8>>,
}

/// Ready to sign.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("cannot make a key or a certificate")]
    Sign(#[source] rcgen::Error),
    #[error("the operating system gives no random numbers")]
    Random(#[source] rand::rand_core::OsError),
    #[error("the stored key of the authority cannot be used")]
    Stored(#[source] rcgen::Error),
}

impl Authority {
    /// Makes the authority of a new installation.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn create(instance_name: &str, now: OffsetDateTime) -> Result<KeptIdentity, AuthorityError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Sign)?;
        let mut params = params(&format!("{instance_name} CA"), AUTHORITY_LIFETIME, now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(AuthorityError::Sign)?;
        Ok(KeptIdentity { certificate: certificate.der().clone(), key: Zeroizing::new(key.serialize_der()) })
    }

    /// Takes up an authority that was made earlier.
    ///
    /// # Errors
    /// When certificate or key are unusable.
    pub fn load(kept: &KeptIdentity) -> Result<Self, AuthorityError> {
        let key = PrivatePkcs8KeyDer::from(kept.key.as_slice());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(AuthorityError::Stored)?;
        let issuer = Issuer::from_ca_cert_der(&kept.certificate, key).map_err(AuthorityError::Stored)?;
        Ok(Self { certificate: kept.certificate.clone(), issuer })
    }

    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of the certificate. An Edge logs the same when it is adopted, so that people can compare them.
    pub fn fingerprint(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.certificate);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Signs an Edge's server certificate, valid for the host under which Core dials it.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn sign_edge(
        &self,
        key: &EdgePublicKey,
        name: &str,
        host: &str,
        now: OffsetDateTime,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut params = params(&format!("postern-edge {name}"), IDENTITY_LIFETIME, now)?;
        params.subject_alt_names = vec![host_name(host)?];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, key)
    }

    /// Makes the identity with which Core dials one Edge.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn issue_core(&self, edge_name: &str, now: OffsetDateTime) -> Result<KeptIdentity, AuthorityError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Sign)?;
        let mut params = params(&format!("postern-core for {edge_name}"), IDENTITY_LIFETIME, now)?;
        let role = "postern://core".try_into().map_err(AuthorityError::Sign)?;
        params.subject_alt_names = vec![SanType::URI(role)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = self.sign(params, &key)?;
        Ok(KeptIdentity { certificate, key: Zeroizing::new(key.serialize_der()) })
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        let certificate = params.signed_by(key, &self.issuer).map_err(AuthorityError::Sign)?;
        Ok(certificate.der().clone())
    }
}

fn params(name: &str, lifetime: Duration, now: OffsetDateTime) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, &name[..name.floor_char_boundary(COMMON_NAME_MAX)]);
    params.not_before = now - CLOCK_TOLERANCE;
    params.not_after = now + lifetime;
    params.serial_number = Some(random_serial()?);
    Ok(params)
}

/// 159 random bits: positive, and 20 bytes at most (RFC 5280, 4.1.2.2). Never zero in its first byte, so that its
/// encoding keeps its length.
fn random_serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 20];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(AuthorityError::Random)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn host_name(host: &str) -> Result<SanType, AuthorityError> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => host.try_into().map(SanType::DnsName).map_err(AuthorityError::Sign),
    }
}

impl std::fmt::Debug for KeptIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptIdentity").field("key", &"***").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("key", &"***").finish_non_exhaustive()
    }
}

/// When a certificate ends.
///
/// `None` if these are no bytes of a certificate.
pub fn not_after(certificate: &CertificateDer<'_>) -> Option<OffsetDateTime> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.validity().not_after.to_datetime())
}

#[cfg(test)]
mod tests;
