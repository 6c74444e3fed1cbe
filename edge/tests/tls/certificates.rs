//! Web certificates, right and wrong.

use postern_proto::proxy::HttpsCerts;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, RsaKeySize};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use time::{Duration, OffsetDateTime};

pub(crate) const NAME: &str = "vpn.example.org";

/// A public authority of this test.
pub(crate) struct WebAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl WebAuthority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Web CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }

    pub(crate) fn pem(&self) -> String {
        pem(&self.certificate)
    }

    /// A good one, with an elliptic key.
    pub(crate) fn issue(&self) -> HttpsCerts {
        self.issue_with(&KeyPair::generate().unwrap(), |_| ())
    }

    pub(crate) fn issue_with_rsa(&self) -> HttpsCerts {
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        self.issue_with(&key, |_| ())
    }

    pub(crate) fn issue_expired(&self) -> HttpsCerts {
        self.issue_with(&KeyPair::generate().unwrap(), |params| {
            params.not_after = OffsetDateTime::now_utc() - Duration::minutes(1);
        })
    }

    pub(crate) fn issue_for_clients(&self) -> HttpsCerts {
        self.issue_with(&KeyPair::generate().unwrap(), |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    /// For this machine, as a server of a test shows it.
    pub(crate) fn issue_for_loopback(&self) -> HttpsCerts {
        self.issue_with(&KeyPair::generate().unwrap(), |params| {
            params.subject_alt_names = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().subject_alt_names;
        })
    }

    fn issue_with(&self, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> HttpsCerts {
        let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        HttpsCerts { cert_pem: pem(certificate.der()) + &self.pem(), key_pem: key.serialize_pem() }
    }
}

/// What a server shows that serves this.
pub(crate) fn leaf(certificate: &HttpsCerts) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(certificate.cert_pem.as_bytes()).unwrap()
}

fn pem(der: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}
