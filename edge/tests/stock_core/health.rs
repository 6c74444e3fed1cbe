//! What the program says of itself while a stock Core comes and goes.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use postern_edge::testing::{StockCore, StockManner, eventually, free_address};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_says_whether_a_stock_core_is_there() {
    let folder = TempDir::new().unwrap();
    let edge = Program::start(&folder);
    let core = StockCore::start(
        edge.tunnel,
        StockManner { reconnect_after: Duration::from_secs(1), ..StockManner::default() },
    )
    .await;
    let looks = |path: &'static str, status: &'static str| edge.get(path).starts_with(&format!("HTTP/1.1 {status} "));
    for path in ["/readyz", "/api/v1/health-grpc"] {
        eventually("core is there", || looks(path, "200")).await;
    }
    assert!(edge.poll().starts_with("HTTP/1.1 402 "), "a stock core without a licence");

    core.lose_stream();
    for path in ["/readyz", "/api/v1/health-grpc"] {
        eventually("core is away", || looks(path, "503")).await;
    }
    assert!(looks("/livez", "200") && looks("/api/v1/health", "200"));
    assert!(edge.poll().starts_with("HTTP/1.1 503 "));

    eventually("core is back", || looks("/readyz", "200") && core.streams() == 2).await;
    assert!(edge.poll().starts_with("HTTP/1.1 402 "));
}

/// The binary on free ports; ends with the test.
struct Program {
    child: Child,
    http: SocketAddr,
    tunnel: SocketAddr,
}

impl Program {
    fn start(folder: &TempDir) -> Self {
        let (http, tunnel) = (free_address(), free_address());
        let child = Command::new(env!("CARGO_BIN_EXE_postern-edge"))
            .env_clear()
            .args([format!("--http-listen={http}"), format!("--tunnel-listen={tunnel}")])
            .arg(format!("--metrics-listen={}", free_address()))
            .arg(format!("--identity-dir={}", folder.path().join("identity").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = std::time::Instant::now();
        while TcpStream::connect(tunnel).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not listen");
        }
        Self { child, http, tunnel }
    }

    fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n"))
    }

    fn poll(&self) -> String {
        let body = r#"{"token":"polling"}"#;
        self.exchange(&format!(
            "POST /api/v1/poll HTTP/1.1\r\nhost: edge\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        assert!(ended.is_ok());
    }
}
