//! Core's side of mTLS: its certificate for this Edge, and the pin on the Edge's.

use std::{error::Error, fmt, io, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    edge::{EdgeAddress, EdgeTrust},
    error::DialError,
    transport::tls_cause,
};

/// TLS 1.3 only: with 1.2 everybody on the way would read both certificates. Edges of all makes speak it.
///
/// # Errors
/// When the stored certificates or the key cannot be used.
pub(crate) fn config(trust: &EdgeTrust) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = PinnedEdge::new(trust, &provider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(vec![trust.client_cert.clone()], trust.client_key.clone_key())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would show neither certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Sorts out why the handshake failed.
pub(crate) fn dial_error(address: &EdgeAddress, error: io::Error) -> DialError {
    let address = address.clone();
    let Some(cause) = tls_cause(&error) else {
        return DialError::Closed { address, source: Box::new(error) };
    };
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = cause
        && let Some(PinMismatch { found }) = other.downcast_ref()
    {
        return DialError::WrongPeer { address, found: found.clone() };
    }
    DialError::Tls { address, source: cause.clone() }
}

/// Not the certificate of the adoption.
#[derive(Debug)]
struct PinMismatch {
    found: String,
}

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the pinned certificate: {}", self.found)
    }
}

impl Error for PinMismatch {}

/// Everything that the web's rules demand, and the pin on top.
#[derive(Debug)]
struct PinnedEdge {
    webpki: Arc<WebPkiServerVerifier>,
    pinned: CertificateDer<'static>,
}

impl PinnedEdge {
    fn new(trust: &EdgeTrust, provider: &Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(trust.ca_cert.clone())?;
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Self { webpki, pinned: trust.edge_cert.clone() })
    }
}

impl ServerCertVerifier for PinnedEdge {
    fn verify_server_cert(
        &self,
        edge_cert: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *edge_cert != self.pinned {
            let mismatch = PinMismatch { found: describe(edge_cert) };
            return Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into());
        }
        self.webpki.verify_server_cert(edge_cert, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

fn describe(certificate: &CertificateDer<'_>) -> String {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => {
            format!("subject {:?}, serial {}", parsed.subject().to_string(), parsed.raw_serial_as_string())
        }
        Err(_) => "a certificate that cannot be read".to_owned(),
    }
}
