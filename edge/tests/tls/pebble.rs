//! A real certificate authority for tests: Debian's `pebble`, with a name server that leads every name to loopback.

use std::{
    net::{SocketAddr, TcpStream},
    process::{Child, Command},
};

use postern_edge::testing::{eventually, free_address};
use tempfile::TempDir;

use crate::{certificates::WebAuthority, client};

/// Ends with the test.
pub(crate) struct Pebble {
    children: Vec<Child>,
    listen: SocketAddr,
    management: SocketAddr,
    /// Where it looks at the Edge.
    pub(crate) looks_at: SocketAddr,
    folder: TempDir,
}

impl Pebble {
    pub(crate) async fn start() -> Self {
        Self::start_looking_at(free_address()).await
    }

    pub(crate) async fn start_looking_at(looks_at: SocketAddr) -> Self {
        let (listen, names, management) = (free_address(), free_address(), free_address());
        let folder = TempDir::new().unwrap();
        write_config(&folder, listen, looks_at);
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", &names.to_string()]);
        resolver.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", &management.to_string()]);
        let mut authority = Command::new("pebble");
        authority.args(["-config", folder.path().join("pebble.json").to_str().unwrap()]);
        authority.args(["-dnsserver", &names.to_string()]);
        authority.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        let start = |mut command: Command| {
            // What it prints is the test's, and shown when that fails.
            command.spawn().expect("pebble is installed (Debian's package of that name)")
        };
        let children = vec![start(resolver), start(authority)];
        let pebble = Self { children, listen, management, looks_at, folder };
        let both = [listen, management];
        eventually("pebble listens", || both.iter().all(|address| TcpStream::connect(address).is_ok())).await;
        pebble
    }

    /// What the Edge has to be told.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let ca = self.folder.path().join("ca.pem");
        vec![
            format!("--acme-directory=https://{}/dir", self.listen),
            format!("--acme-ca-file={}", ca.display()),
            format!("--acme-listen={}", self.looks_at),
        ]
    }

    /// Leads a name to another address.
    pub(crate) async fn lead(&self, name: &str, address: &str) {
        let body = format!(r#"{{"host":"{name}","addresses":["{address}"]}}"#);
        let lines = format!("connection: close\r\ncontent-length: {}\r\n", body.len());
        let request = client::head("POST", "/add-a", "localhost", &lines) + &body;
        assert_eq!(client::send(self.management, &request).await.status, 200);
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            assert!(child.kill().and_then(|()| child.wait()).is_ok());
        }
    }
}

fn write_config(folder: &TempDir, listen: SocketAddr, looks_at: SocketAddr) {
    let authority = WebAuthority::new();
    let own = authority.issue_for_loopback();
    let path = |name: &str| folder.path().join(name);
    let config = serde_json::json!({"pebble": {
        "listenAddress": listen.to_string(),
        "managementListenAddress": free_address().to_string(),
        "certificate": path("cert.pem"),
        "privateKey": path("key.pem"),
        "httpPort": looks_at.port(),
        "tlsPort": free_address().port(),
    }});
    for (name, text) in [
        ("cert.pem", &own.cert_pem),
        ("key.pem", &own.key_pem),
        ("ca.pem", &authority.pem()),
        ("pebble.json", &config.to_string()),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
}
