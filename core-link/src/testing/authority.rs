//! Certificates for tests.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};
use rustls::{
    DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};

use crate::{adoption::Bundle, edge::EdgeTrust};

/// Signs whatever it is asked to.
#[derive(Debug)]
pub struct FakeAuthority {
    issuer: Issuer<'static, KeyPair>,
    cert: CertificateDer<'static>,
}

/// What an adopted Edge holds, and its Core.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) edge_cert: CertificateDer<'static>,
    pub(crate) edge_key: PrivateKeyDer<'static>,
    pub(crate) ca_cert: CertificateDer<'static>,
    /// Absent when another Core adopted it: then that one knows.
    pub(crate) trust: Option<EdgeTrust>,
    /// Of another Edge of the same Core.
    pub(crate) spare: Option<Box<Self>>,
}

impl FakeAuthority {
    /// A new one.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let cert = params.self_signed(&key).expect("a certificate").der().clone();
        Self { issuer: Issuer::new(params, key), cert }
    }

    /// Its own certificate.
    #[must_use]
    pub fn cert(&self) -> &CertificateDer<'static> {
        &self.cert
    }

    /// Signs an Edge's request as it stands.
    ///
    /// # Panics
    /// When it is no request.
    #[must_use]
    pub fn sign(&self, csr: &CertificateSigningRequestDer<'_>) -> CertificateDer<'static> {
        let mut request = CertificateSigningRequestParams::from_der(csr).expect("a request");
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        request.signed_by(&self.issuer).expect("a certificate").der().clone()
    }

    /// A certificate for Core.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn client(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        self.issue("A Core", ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// An answer to an Edge's request, and what Core keeps of it.
    #[must_use]
    pub fn bundle(&self, csr: &CertificateSigningRequestDer<'_>) -> (Bundle, EdgeTrust) {
        let edge_cert = self.sign(csr);
        let (client_cert, client_key) = self.client();
        let ca_cert = self.cert.clone();
        let bundle =
            Bundle { edge_cert: edge_cert.clone(), ca_cert: ca_cert.clone(), client_cert: client_cert.clone() };
        (bundle, EdgeTrust { ca_cert, edge_cert, client_cert, client_key })
    }

    pub(crate) fn adopt(&self, host: &str) -> Identity {
        let spare = Some(Box::new(self.adopt_one(host, None)));
        self.adopt_one(host, spare)
    }

    fn adopt_one(&self, host: &str, spare: Option<Box<Identity>>) -> Identity {
        let (edge_cert, edge_key) = self.issue(host, ExtendedKeyUsagePurpose::ServerAuth);
        let (client_cert, client_key) = self.client();
        let ca_cert = self.cert.clone();
        let trust = EdgeTrust { ca_cert: ca_cert.clone(), edge_cert: edge_cert.clone(), client_cert, client_key };
        Identity { edge_cert, edge_key, ca_cert, trust: Some(trust), spare }
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let names = if purpose == ExtendedKeyUsagePurpose::ServerAuth { vec![name.to_owned()] } else { vec![] };
        let mut params = CertificateParams::new(names).expect("a host name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").der().clone();
        (cert, key.into())
    }
}

impl Default for FakeAuthority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        self.server_config_of(DEFAULT_VERSIONS)
    }

    pub(crate) fn server_config_of(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.ca_cert.clone()).expect("a certificate");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the provider knows the versions")
            .with_client_cert_verifier(verifier.build().expect("a root"))
            .with_single_cert(vec![self.edge_cert.clone()], self.edge_key.clone_key())
            .expect("the key of the certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Arc::new(config)
    }
}
