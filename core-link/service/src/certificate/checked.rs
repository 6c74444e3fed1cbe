//! A certificate, its chain and its key, of which browsers will find nothing wrong that can be seen from here.

use std::{fmt, fmt::Write as _, net::IpAddr};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{crypto::aws_lc_rs as provider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{ASN1Time, FromDer as _},
};
use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// Authorities send two to four.
const CHAIN_MAX: usize = 10;

/// Looked through and found good.
pub struct CheckedCertificate {
    /// PEM, the site's own first.
    pub chain: String,
    /// PEM.
    pub key: Zeroizing<String>,
    pub description: Description,
}

/// What people want to know of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub names: Vec<String>,
    pub issuer: String,
    pub not_after: Timestamp,
    /// Of the certificate in DER, in hexadecimal.
    pub sha256: String,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    #[error("the certificates cannot be read; a file in PEM is needed, the site's own certificate first")]
    Unreadable,
    #[error("the file holds {0} certificates; at most {CHAIN_MAX} are taken")]
    TooLong(usize),
    #[error("the key cannot be read; a private key in PEM without a password is needed")]
    UnreadableKey,
    #[error("the key does not belong to the certificate")]
    OtherKey(#[source] rustls::Error),
    #[error(
        "the first certificate is an authority's; the site's own must come first, and a self-signed one needs CA:FALSE"
    )]
    Authority,
    #[error("the certificate names no host (it has no subjectAltName), so browsers refuse it")]
    NoNames,
    #[error("the certificate is not valid before {0}")]
    TooEarly(String),
    #[error("the certificate has expired at {0}")]
    Expired(String),
    #[error(
        "certificate {0} of the file did not sign the one before it; keep the order, and leave out what is not needed"
    )]
    BrokenChain(usize),
    #[error("the certificate is for {found}, and not for {wanted}")]
    OtherDomain { found: String, wanted: String },
}

impl CheckedCertificate {
    /// Takes what a file holds. Whatever else stands in the files is left behind.
    ///
    /// # Errors
    /// [`BadCertificate`]
    pub fn check(chain_pem: &str, key_pem: &str, now: Timestamp) -> Result<Self, BadCertificate> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| BadCertificate::Unreadable)?;
        if chain.len() > CHAIN_MAX {
            return Err(BadCertificate::TooLong(chain.len()));
        }
        let parsed = chain.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let Some(site) = parsed.first() else { return Err(BadCertificate::Unreadable) };
        check_site(site, now)?;
        check_chain(&parsed)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| BadCertificate::UnreadableKey)?;
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider::default_provider())
            .map_err(BadCertificate::OtherKey)?;
        let description = Description::from_parsed(site, &chain[0]);
        let chain = chain.iter().map(|certificate| pem("CERTIFICATE", certificate).to_string()).collect();
        Ok(Self { chain, key: key_pem_of(&key), description })
    }

    /// # Errors
    /// Unless it is valid for this domain.
    pub(super) fn for_domain(self, domain: &str) -> Result<Self, BadCertificate> {
        if self.description.names.iter().any(|name| name.eq_ignore_ascii_case(domain)) {
            return Ok(self);
        }
        Err(BadCertificate::OtherDomain { found: self.description.names.join(", "), wanted: domain.to_owned() })
    }
}

impl Description {
    /// Of a chain in PEM.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(chain_pem: &str) -> Result<Self, BadCertificate> {
        let site = CertificateDer::from_pem_slice(chain_pem.as_bytes()).map_err(|_| BadCertificate::Unreadable)?;
        Ok(Self::from_parsed(&parse(&site)?, &site))
    }

    fn from_parsed(site: &X509Certificate<'_>, der: &CertificateDer<'_>) -> Self {
        let sha256 = digest::digest(&digest::SHA256, der).as_ref().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes everything");
            text
        });
        let not_after = Timestamp::from_unix(site.validity().not_after.timestamp());
        Self { names: names(site), issuer: site.issuer().to_string(), not_after, sha256 }
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, BadCertificate> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(BadCertificate::Unreadable),
    }
}

fn check_site(site: &X509Certificate<'_>, now: Timestamp) -> Result<(), BadCertificate> {
    if site.is_ca() {
        return Err(BadCertificate::Authority);
    }
    if names(site).is_empty() {
        return Err(BadCertificate::NoNames);
    }
    let (from, to) = (site.validity().not_before, site.validity().not_after);
    let shown = |at: ASN1Time| Timestamp::from_unix(at.timestamp()).to_rfc3339();
    if from.timestamp() > now.as_unix() {
        return Err(BadCertificate::TooEarly(shown(from)));
    }
    if to.timestamp() <= now.as_unix() {
        return Err(BadCertificate::Expired(shown(to)));
    }
    Ok(())
}

/// Each is signed by the next. Where the chain ends, browsers know the authority or do not.
fn check_chain(chain: &[X509Certificate<'_>]) -> Result<(), BadCertificate> {
    for (position, pair) in chain.windows(2).enumerate() {
        let [certificate, issuer] = pair else { continue };
        let signed = certificate.verify_signature(Some(issuer.public_key())).is_ok();
        if !signed || certificate.issuer() != issuer.subject() || !issuer.is_ca() {
            return Err(BadCertificate::BrokenChain(position + 2));
        }
    }
    Ok(())
}

/// Hosts only. A name that is no text is none.
fn names(site: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = site.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().filter_map(host).collect()
}

fn host(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some((*name).to_owned());
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    let v4 = <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from);
    let address = v4.or_else(|| <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from));
    address.map(|address| address.to_string())
}

fn key_pem_of(key: &PrivateKeyDer<'_>) -> Zeroizing<String> {
    let label = if matches!(key, PrivateKeyDer::Pkcs1(_)) {
        "RSA PRIVATE KEY"
    } else if matches!(key, PrivateKeyDer::Sec1(_)) {
        "EC PRIVATE KEY"
    } else {
        "PRIVATE KEY"
    };
    pem(label, key.secret_der())
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    for line in body.as_bytes().chunks(64) {
        text.push_str(str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

impl fmt::Debug for CheckedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedCertificate").field("description", &self.description).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
