//! In the place of a stock Edge: told by its variables, with the identity that it left behind.
//!
//! The identities are made as a stock 2.x Edge and Core make them; a stock Edge itself is not there to be asked.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use postern_edge::{
    identity::IdentityStore,
    testing::{Answer, FakeCore, eventually, free_address},
};
use postern_proto::{proxy::AcmeChallenge, version};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;

use crate::{
    client,
    program::{Program, names},
};

const FILES: [&str; 4] = ["core_client_cert.pem", "grpc_ca_cert.pem", "proxy_grpc_cert.pem", "proxy_grpc_key.pem"];

/// How a private key is written.
#[derive(Debug, Clone, Copy)]
enum KeyForm {
    Pkcs8,
    Sec1,
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_variables_and_the_identity_of_a_stock_edge_it_serves_its_core_at_once() {
    for form in [KeyForm::Pkcs8, KeyForm::Sec1] {
        let (core, folder) = (FakeCore::stock(), TempDir::new().unwrap());
        write_stock_identity(folder.path(), &core, form);
        let (http, tunnel) = (free_address(), free_address());
        let edge = Program::start_as(stock_command(folder.path(), http, tunnel), folder, (http, tunnel), &[]);
        let _tunnel = core.connect(edge.tunnel, |_| Answer::Nothing).await;
        edge.wait_for_log("tunnel up").await;
        let reply = client::get(edge.http, "/api/v1/health-grpc").await;
        assert_eq!(reply.status, 200, "{form:?}");
        let line = "settings: not known here, and ignored: DEFGUARD_LOG_LEVEL";
        assert_eq!(edge.log_lines(line), 1, "{}", edge.log());
        assert_eq!(names(edge.folder.path()), FILES, "nothing was added");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_edge_with_a_stock_folder_is_adopted_and_leaves_what_a_stock_edge_reads() {
    let (core, folder) = (FakeCore::stock(), TempDir::new().unwrap());
    let (http, tunnel) = (free_address(), free_address());
    let edge = Program::start_as(stock_command(folder.path(), http, tunnel), folder, (http, tunnel), &[]);
    core.adopt(edge.tunnel).await.unwrap();
    let folder = edge.folder.path();
    assert_eq!(names(folder), FILES);
    for name in FILES {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let label = if name == "proxy_grpc_key.pem" { "PRIVATE KEY" } else { "CERTIFICATE" };
        let (begin, end) = (format!("-----BEGIN {label}-----\n"), format!("\n-----END {label}-----\n"));
        assert!(
            text.starts_with(&begin) && text.ends_with(&end) && text.lines().all(|line| line.len() <= 64),
            "{name}"
        );
        assert_eq!(text.matches("BEGIN").count(), 1, "{name}");
    }
    // As any server would take the pair up.
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&read("proxy_grpc_cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&read("proxy_grpc_key.pem")).unwrap();
    assert!(matches!(key, PrivateKeyDer::Pkcs8(_)));
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.with_no_client_auth().with_single_cert(chain, key).unwrap();
}

#[tokio::test]
async fn a_file_with_a_chain_or_with_words_before_it_is_read() {
    let (core, folder) = (FakeCore::stock(), TempDir::new().unwrap());
    write_stock_identity(folder.path(), &core, KeyForm::Sec1);
    let path = folder.path().join("proxy_grpc_cert.pem");
    let (leaf, authority) =
        (fs::read_to_string(&path).unwrap(), fs::read_to_string(folder.path().join("grpc_ca_cert.pem")).unwrap());
    fs::write(&path, format!("subject=/CN=Defguard Proxy\r\n{leaf}{authority}")).unwrap();
    assert!(IdentityStore::open(folder.path()).unwrap().current().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_leaves_nothing_that_a_stock_edge_would_take_for_an_identity() {
    let (core, folder) = (FakeCore::stock(), TempDir::new().unwrap());
    write_stock_identity(folder.path(), &core, KeyForm::Pkcs8);
    let (http, tunnel) = (free_address(), free_address());
    let edge = Program::start_as(stock_command(folder.path(), http, tunnel), folder, (http, tunnel), &[]);
    core.purge(edge.tunnel).await.unwrap();
    eventually("it waits for adoption", || edge.log_lines("waiting for a core to adopt") == 1).await;
    assert_eq!(names(edge.folder.path()), ["adopted_by_ca"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_is_too_old_is_told_what_to_do_and_so_is_the_log_but_once() {
    let (edge, core) = (Program::start(&[]), FakeCore::stock());
    core.adopt(edge.tunnel).await.unwrap();
    let text = "Version 1.6.2 not supported: this edge needs a Core of 2.0.0 or later; update Core, or keep the edge \
                that came with it until then";
    for _ in 0..3 {
        let mut request = core.introduced(AcmeChallenge::default());
        request.metadata_mut().insert(version::COMPONENT_VERSION, "1.6.2".parse().unwrap());
        let refused = core.client(edge.tunnel).await.unwrap().trigger_acme(request).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (tonic::Code::FailedPrecondition, text));
    }
    eventually("the log says it", || edge.log_lines(text) > 0).await;
    assert_eq!(edge.log_lines(text), 1, "{}", edge.log());
}

fn stock_command(folder: &Path, http: SocketAddr, tunnel: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern-edge"));
    command
        .env_clear()
        .env("DEFGUARD_PROXY_CERT_DIR", folder)
        .env("DEFGUARD_PROXY_HTTP_PORT", http.port().to_string())
        .env("DEFGUARD_HTTP_BIND_ADDRESS", http.ip().to_string())
        .env("DEFGUARD_PROXY_GRPC_PORT", tunnel.port().to_string())
        .env("DEFGUARD_GRPC_BIND_ADDRESS", tunnel.ip().to_string())
        .env("DEFGUARD_LOG_LEVEL", "debug");
    command
}

/// As a stock Edge leaves it: a P-256 key, the subject of its signing request, one name, and Core's signature.
fn write_stock_identity(folder: &Path, core: &FakeCore, form: KeyForm) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Defguard Proxy");
    params.distinguished_name.push(DnType::OrganizationName, "Defguard");
    params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let request = params.serialize_request(&key).unwrap();
    let bundle = core.authority().bundle(request.der(), core.client_certificate());
    let key = match form {
        KeyForm::Pkcs8 => key.serialize_pem(),
        KeyForm::Sec1 => pem("EC PRIVATE KEY", &sec1(&key.serialize_der())),
    };
    for (name, text) in [
        ("proxy_grpc_cert.pem", pem("CERTIFICATE", &bundle.component_cert_der)),
        ("proxy_grpc_key.pem", key),
        ("grpc_ca_cert.pem", pem("CERTIFICATE", &bundle.ca_cert_der)),
        ("core_client_cert.pem", pem("CERTIFICATE", &bundle.core_client_cert_der)),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// RFC 5915 inside RFC 5958: the last octet string of a PKCS#8 key, with the curve named, which the outer form does
/// beside it.
fn sec1(pkcs8: &[u8]) -> Vec<u8> {
    // SEQUENCE { INTEGER 1, OCTET STRING (32 bytes), …
    let start = pkcs8.windows(5).position(|bytes| bytes == [0x02, 0x01, 0x01, 0x04, 0x20]).unwrap();
    let secret = &pkcs8[start..start + 5 + 32];
    let curve = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let content = [secret, &curve].concat();
    [&[0x30, u8::try_from(content.len()).unwrap()][..], &content].concat()
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
