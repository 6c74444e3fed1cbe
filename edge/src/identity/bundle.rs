//! What a Core hands to a new Edge, checked before anything is stored.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{
        NoServerSessionStorage, ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why a bundle is refused. The text may be shown to Core.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("the {certificate} certificate cannot be read")]
    Unreadable { certificate: &'static str },
    #[error("the {certificate} certificate is not valid now")]
    NotValidNow { certificate: &'static str },
    #[error("the CA certificate does not belong to a CA")]
    NotAnAuthority,
    #[error("the CA certificate cannot be a root of trust")]
    Root(#[source] rustls::Error),
    #[error("the component certificate is not one of this CA for a server")]
    ComponentChain(#[source] rustls::Error),
    #[error("the core client certificate is not one of this CA for a client")]
    ClientChain(#[source] rustls::Error),
    #[error("the component certificate does not match the key of this edge")]
    ForeignKey(#[source] rustls::Error),
    #[error("no verifier can be made from the CA certificate")]
    Verifier(#[source] VerifierBuilderError),
}

/// A certificate with its key, the CA of both ends, and the one client certificate that may call.
#[derive(Debug)]
pub struct Bundle {
    component: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    authority: CertificateDer<'static>,
    core_client: CertificateDer<'static>,
}

impl Bundle {
    #[must_use]
    pub fn new(
        component: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
        authority: CertificateDer<'static>,
        core_client: CertificateDer<'static>,
    ) -> Self {
        Self { component, key, authority, core_client }
    }

    /// Checks everything that could make a tunnel impossible later.
    pub fn check(&self) -> Result<(), BundleError> {
        check_certificate(&self.component, "component")?;
        check_certificate(&self.core_client, "core client")?;
        check_authority(&self.authority)?;
        let provider = provider();
        let roots = self.roots()?;
        let component = ParsedCertificate::try_from(&self.component)
            .map_err(|_| BundleError::Unreadable { certificate: "component" })?;
        let algorithms = provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&component, &roots, &[], super::now(), algorithms)
            .map_err(BundleError::ComponentChain)?;
        self.client_verifier()?
            .verify_client_cert(&self.core_client, &[], super::now())
            .map_err(BundleError::ClientChain)?;
        self.server_config().map(drop)
    }

    /// TLS for tunnels: our certificate, HTTP/2 only, and a client certificate of the CA demanded.
    /// The name in that certificate is free text on a stock Core and is not looked at.
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, BundleError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(BundleError::ForeignKey)?
            .with_client_cert_verifier(self.client_verifier()?)
            .with_single_cert(vec![self.component.clone()], self.key.clone_key())
            .map_err(BundleError::ForeignKey)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session would skip the check of a certificate that may be gone by now.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    pub(super) fn component(&self) -> &CertificateDer<'static> {
        &self.component
    }

    pub(super) fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key
    }

    #[must_use]
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    pub(super) fn core_client(&self) -> &CertificateDer<'static> {
        &self.core_client
    }

    fn roots(&self) -> Result<RootCertStore, BundleError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).map_err(BundleError::Root)?;
        Ok(roots)
    }

    fn client_verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, BundleError> {
        WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider())
            .build()
            .map_err(BundleError::Verifier)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn check_certificate(der: &CertificateDer<'_>, certificate: &'static str) -> Result<(), BundleError> {
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| BundleError::Unreadable { certificate })?;
    if !rest.is_empty() {
        return Err(BundleError::Unreadable { certificate });
    }
    if !parsed.validity().is_valid() {
        return Err(BundleError::NotValidNow { certificate });
    }
    Ok(())
}

/// A root of trust is taken as it is by TLS, so its own validity and purpose are checked here.
fn check_authority(der: &CertificateDer<'_>) -> Result<(), BundleError> {
    check_certificate(der, "CA")?;
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_| BundleError::Unreadable { certificate: "CA" })?;
    if parsed.is_ca() { Ok(()) } else { Err(BundleError::NotAnAuthority) }
}
