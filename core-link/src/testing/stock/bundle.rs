//! What it demands of the certificates that Core sends.

use std::sync::Arc;

use postern_proto::common::CertBundle;
use rcgen::KeyPair;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tonic::Status;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::state::StockIdentity;
use crate::testing::authority::Identity;

/// Both leaves chain to the authority and may do what they are for, and the first holds its own key.
pub(super) fn check(bundle: CertBundle, key: KeyPair, host: &str) -> Result<StockIdentity, Status> {
    let bad = |what: &'static str| move |_| Status::invalid_argument(what);
    let edge_cert = CertificateDer::from(bundle.component_cert_der);
    let ca_cert = CertificateDer::from(bundle.ca_cert_der);
    let core_client_cert = CertificateDer::from(bundle.core_client_cert_der);
    let (_, parsed) = X509Certificate::from_der(&edge_cert).map_err(|_| bad("Invalid component certificate")(()))?;
    if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err(Status::invalid_argument("Component certificate does not match the key"));
    }
    if parsed.subject().iter_common_name().next().is_none() {
        return Err(Status::invalid_argument("Component certificate has no common name"));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca_cert.clone()).map_err(|_| bad("Invalid CA certificate")(()))?;
    let roots = Arc::new(roots);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| bad("Invalid host name")(()))?;
    WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
        .build()
        .map_err(|_| bad("Invalid CA certificate")(()))?
        .verify_server_cert(&edge_cert, &[], &name, &[], UnixTime::now())
        .map_err(|_| bad("Component certificate is not valid")(()))?;
    WebPkiClientVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|_| bad("Invalid CA certificate")(()))?
        .verify_client_cert(&core_client_cert, &[], UnixTime::now())
        .map_err(|_| bad("Core client certificate is not valid")(()))?;
    let identity = Identity { edge_cert, edge_key: key.into(), ca_cert, trust: None, spare: None };
    Ok(StockIdentity { identity, core_client_cert })
}
