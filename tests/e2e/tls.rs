//! The TLS site, as a person with curl sees it.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use postern_tests::{
    Cluster, Setup,
    cluster::START_LIMIT,
    eventually,
    nginx::{Nginx, Site},
};
use tokio::process::Command;

const NAME: &str = "vpn.example.org";

/// An NGINX with TLS in front of a cluster whose Edges know that they are called by https.
struct Tls {
    cluster: Cluster,
    _nginx: Nginx,
    https: SocketAddr,
    redirect: SocketAddr,
    certificate: PathBuf,
}

#[tokio::test]
async fn https_is_served_and_cookies_are_secure() {
    let tls = Tls::start().await;
    let token = tls.cluster.invite("joe").await.expect("a person is invited");
    let body = format!(r#"{{"token":"{token}"}}"#);
    let url = format!("https://{NAME}:{}/api/v1/enrollment/start", tls.https.port());
    let answer = tls.curl(&["-i", "-H", "content-type: application/json", "-d", &body, &url]).await;

    assert!(answer.starts_with("HTTP/2 200"), "{answer}");
    let cookie = answer.lines().find(|line| line.starts_with("set-cookie: defguard_proxy=")).expect("a cookie");
    assert!(cookie.contains("; Secure"), "{cookie}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
    assert!(!answer.to_lowercase().contains("server: nginx/"), "{answer}");
}

#[tokio::test]
async fn http_is_redirected_to_the_name_of_the_site_whatever_the_host_header_says() {
    let tls = Tls::start().await;
    let url = format!("http://{}/open-desktop?token=abc", tls.redirect);
    let answer = tls.curl(&["-i", "-H", "host: evil.example.net", &url]).await;

    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    let expected = format!("Location: https://{NAME}:{}/open-desktop?token=abc", tls.https.port());
    assert!(answer.lines().any(|line| line.trim() == expected), "{answer}");
}

#[tokio::test]
async fn old_tls_versions_are_refused() {
    let tls = Tls::start().await;
    let url = format!("https://{NAME}:{}/api/v1/health", tls.https.port());
    assert_eq!(tls.curl(&["--tlsv1.2", "--tls-max", "1.2", &url]).await, "alive");
    assert_eq!(tls.curl(&["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", &url]).await, "");
}

impl Tls {
    async fn start() -> Self {
        let setup = Setup { edge_settings: vec![("PUBLIC_URL", format!("https://{NAME}/"))], ..Setup::default() };
        let mut cluster = Cluster::start_with(setup).await.expect("the cluster starts");
        let (https, redirect) = (cluster.address().expect("a port"), cluster.address().expect("a port"));
        let (certificate, key) = (cluster.folder().join("tls.pem"), cluster.folder().join("tls.key"));
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        fs::write(&certificate, made.cert.pem()).expect("the certificate is written");
        fs::write(&key, made.signing_key.serialize_pem()).expect("the key is written");
        let site = Site::Tls { https, redirect, name: NAME.to_owned(), certificate: certificate.clone(), key };
        let edges: Vec<_> = cluster.edges.iter().map(|edge| edge.http).collect();
        let nginx = Nginx::start(&cluster.folder().join("nginx-tls"), site, &edges).expect("NGINX starts");
        let connects = || async { tokio::net::TcpStream::connect(https).await.is_ok() };
        eventually("NGINX listens", START_LIMIT, connects)
            .await
            .unwrap_or_else(|error| panic!("{error}: {}", nginx.logs()));
        Self { cluster, _nginx: nginx, https, redirect, certificate }
    }

    /// What curl prints; it trusts the one certificate and needs no name service.
    async fn curl(&self, arguments: &[&str]) -> String {
        let limit = Duration::from_secs(10).as_secs().to_string();
        let resolve = format!("{NAME}:{}:127.0.0.1", self.https.port());
        let output = Command::new("curl")
            .args(["-s", "--max-time", &limit, "--resolve", &resolve, "--cacert"])
            .arg(&self.certificate)
            .args(arguments)
            .output()
            .await
            .expect("curl runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
