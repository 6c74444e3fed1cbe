//! The CA of a fake Core.

use postern_proto::common::CertBundle;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// Signs what an Edge asks for.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// A self-signed CA as a stock Core makes it, odd alternative name included.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::DnsName("Defguard CA".try_into().expect("ASCII"))];
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = params.self_signed(&key).expect("a CA can sign itself").der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// The CA's own certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a CA certificate");
        roots
    }

    /// A client certificate with its key; the name is free text.
    #[must_use]
    pub fn client(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = self.leaf(name, ExtendedKeyUsagePurpose::ClientAuth, &key);
        (certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// What an Edge shows, with its key.
    pub(super) fn server(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = self.leaf(name, ExtendedKeyUsagePurpose::ServerAuth, &key);
        (certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// A client certificate that ended long ago, with its key.
    pub(super) fn expired_client(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("keys can be made");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("the CA can sign").der().clone();
        (certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// A certificate for this key and purpose, whatever the holder asked for.
    #[must_use]
    pub fn leaf(&self, name: &str, purpose: ExtendedKeyUsagePurpose, key: &KeyPair) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().expect("ASCII"))];
        params.extended_key_usages = vec![purpose];
        params.signed_by(key, &self.issuer).expect("the CA can sign").der().clone()
    }

    /// The certificate that a signing request asks for.
    #[must_use]
    pub fn sign(&self, request: &[u8]) -> CertificateDer<'static> {
        self.sign_for(request, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// The same for another purpose.
    #[must_use]
    pub fn sign_for(&self, request: &[u8], purpose: ExtendedKeyUsagePurpose) -> CertificateDer<'static> {
        let mut request =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request.to_vec()))
                .expect("a signing request");
        request.params.extended_key_usages = vec![purpose];
        request.signed_by(&self.issuer).expect("the CA can sign").der().clone()
    }

    /// A bundle as Core sends it.
    #[must_use]
    pub fn bundle(&self, request: &[u8], client: &CertificateDer<'_>) -> CertBundle {
        CertBundle {
            component_cert_der: self.sign(request).to_vec(),
            ca_cert_der: self.certificate.to_vec(),
            core_client_cert_der: client.to_vec(),
        }
    }
}
