//! The program as a process: it starts, says that it lives, and stops when told.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod descriptors;
mod ports;
mod systemd;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use postern_edge::testing::{Answer, FakeCore, eventually, free_address};
use postern_proto::{client_types::InstanceInfoResponse, proxy::core_response::Payload};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn it_lives_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(folder.path(), &[]);
    edge.wait_until_it_listens();
    assert!(edge.health().success());
    edge.signal("TERM");
    assert_eq!(edge.exit().code(), Some(0));
    let log = edge.log();
    assert!(log.contains("started") && log.contains("stopping"), "{log}");
}

#[test]
fn health_fails_when_nothing_listens() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(folder.path(), &[]);
    edge.wait_until_it_listens();
    edge.signal("TERM");
    edge.exit();
    assert!(!edge.health().success());
}

#[test]
fn requests_are_counted_by_route_and_class() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(folder.path(), &["--expose-name", "true", "--name", "edge-7"]);
    edge.wait_until_it_listens();
    let reply = get(edge.http, "/readyz");
    assert!(reply.starts_with("HTTP/1.1 503 ") && reply.contains("\r\nx-postern-edge: edge-7\r\n"), "{reply}");
    let metrics = get(edge.metrics, "/metrics");
    let counted = r#"postern_edge_requests_total{route="/readyz",status="5xx"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains(r#"postern_edge_request_duration_seconds_bucket{route="/readyz",le="4"} 1"#), "{metrics}");
    assert!(get(edge.metrics, "/").starts_with("HTTP/1.1 404 "));
    assert!(get(edge.http, "/metrics").starts_with("HTTP/1.1 404 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_that_goes_down_with_its_connection_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(folder.path(), &[]);
    edge.wait_until_it_listens();
    let core = FakeCore::new();
    core.adopt(edge.tunnel).await.unwrap();
    let tunnel = core.connect(edge.tunnel, |_| Answer::Nothing).await;
    let http = edge.http;
    eventually("the edge is ready", || get(http, "/readyz").starts_with("HTTP/1.1 200 ")).await;
    tunnel.hang_up().await;
    eventually("the edge is not ready", || get(http, "/readyz").starts_with("HTTP/1.1 503 ")).await;
    edge.signal("TERM");
    assert_eq!(edge.exit().code(), Some(0));
    let log = edge.log();
    assert!(log.contains("tunnel down tunnel=1 in_flight=0 reason="), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_on_the_tunnel_port_is_named_and_fills_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(folder.path(), &[]);
    edge.wait_until_it_listens();
    exchange_bytes(edge.tunnel, &pongs_that_nobody_asked_for());
    let core = FakeCore::new();
    core.adopt(edge.tunnel).await.unwrap();
    for _ in 0..20 {
        for refused in [core.anonymous(), core.stranger(), core.impostor()] {
            refused.try_connect(edge.tunnel, Arc::new(|_| Answer::Nothing)).await.unwrap_err();
        }
        exchange_bytes(edge.tunnel, b"SSH-2.0-scanner peer=192.0.2.66 reason=forged\r\n");
        exchange_bytes(edge.tunnel, b"\x14\x03\x03\x00\x01\x01");
    }
    edge.signal("TERM");
    edge.exit();
    let log = edge.log();
    let reasons = [
        "no client certificate",
        "a client certificate of another CA",
        "a client certificate of our CA that is not the one from adoption",
        "this is no TLS that we speak",
    ];
    assert_eq!(log.lines().filter(|line| line.contains(" WARN ")).count(), reasons.len(), "{log}");
    for reason in reasons {
        let line = |line: &&str| line.contains("refused on the tunnel port peer=127.0.0.1:") && line.ends_with(reason);
        assert_eq!(log.lines().filter(line).count(), 1, "{reason}: {log}");
    }
    assert!(!log.contains("192.0.2.66"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_answered_over_its_tunnel_before_the_tunnel_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(folder.path(), &[]);
    edge.wait_until_it_listens();
    let core = FakeCore::new();
    core.adopt(edge.tunnel).await.unwrap();
    let tunnel = core.connect(edge.tunnel, |_| Answer::Nothing).await;
    let http = edge.http;
    eventually("the edge is ready", || get(http, "/readyz").starts_with("HTTP/1.1 200 ")).await;
    let body = r#"{"token":"t"}"#;
    let head =
        "POST /api/v1/poll HTTP/1.1\r\nhost: edge\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n";
    let caller = std::thread::spawn(move || exchange(http, &format!("{head}{body}")));
    let id = tunnel.requests(1).await[0].id;
    edge.signal("TERM");
    eventually("core is told", || tunnel.was_told_goodbye()).await;
    assert!(!tunnel.has_ended());
    tunnel.reply(id, Payload::InstanceInfo(InstanceInfoResponse::default())).await;
    let reply = caller.join().unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains("\r\nconnection: close\r\n"), "{reply}");
    eventually("the tunnel ends", || tunnel.has_ended()).await;
    assert_eq!(edge.exit().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reset_any_core_may_adopt() {
    let folder = tempfile::tempdir().unwrap();
    let mut adopted = Edge::start(folder.path(), &[]);
    adopted.wait_until_it_listens();
    FakeCore::new().adopt(adopted.tunnel).await.unwrap();
    adopted.signal("TERM");
    assert_eq!(adopted.exit().code(), Some(0));
    let identity = folder.path().join("identity");
    let reset = program().args(["reset", "--identity-dir", identity.to_str().unwrap()]).output().unwrap();
    assert!(reset.status.success());
    let mut edge = Edge::start(folder.path(), &[]);
    edge.wait_until_it_listens();
    assert!(get(edge.http, "/api/v1/info").ends_with(r#""server_state":"setup"}"#));
    FakeCore::new().adopt(edge.tunnel).await.unwrap();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(folder.path(), &["--drain-delay", "1h", "--grace", "2h"]);
    edge.wait_until_it_listens();
    edge.signal("TERM");
    let begun = Instant::now();
    // Two of the same kind that meet are one, so it is told until it has heard.
    while edge.child.try_wait().unwrap().is_none() && begun.elapsed() < SOON {
        edge.signal("INT");
    }
    assert_eq!(edge.exit().code(), Some(1));
}

#[test]
fn the_grace_limit_ends_what_would_not_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(folder.path(), &["--drain-delay", "1h", "--grace", "200ms"]);
    edge.wait_until_it_listens();
    edge.signal("TERM");
    assert_eq!(edge.exit().code(), Some(0));
    assert!(edge.log().contains("grace limit"));
}

/// Ends with the test.
struct Edge {
    child: Child,
    http: SocketAddr,
    tunnel: SocketAddr,
    metrics: SocketAddr,
}

impl Edge {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_as(program(), folder, arguments)
    }

    fn start_as(mut program: Command, folder: &Path, arguments: &[&str]) -> Self {
        let (http, tunnel, metrics) = (free_address(), free_address(), free_address());
        let child = program
            .args(["--http-listen", &http.to_string(), "--identity-dir", folder.join("identity").to_str().unwrap()])
            .args(["--tunnel-listen", &tunnel.to_string()])
            .env("POSTERN_EDGE__METRICS_LISTEN", metrics.to_string())
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, http, tunnel, metrics }
    }

    fn wait_until_it_listens(&mut self) {
        let begun = Instant::now();
        // Of its ports the last that it takes.
        while TcpStream::connect(self.tunnel).is_err() {
            assert!(begun.elapsed() < SOON && self.child.try_wait().unwrap().is_none(), "{}", self.log());
        }
    }

    fn health(&self) -> ExitStatus {
        let listen = self.http.to_string();
        program().args(["health", "--http-listen", &listen]).stderr(Stdio::null()).status().unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", name, &pid]).stderr(Stdio::null()).status().unwrap();
    }

    fn exit(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < SOON, "it does not end");
            std::thread::yield_now();
        }
    }

    fn read_log_until(&mut self, words: &str) {
        let mut log = BufReader::new(self.child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(words) {
            assert_ne!(log.read_line(&mut said).unwrap(), 0, "{said}");
        }
        self.child.stderr = Some(log.into_inner());
    }

    /// All that it has said; it has to have ended.
    fn log(&mut self) -> String {
        let mut text = String::new();
        self.child.kill().unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        assert!(killed.is_ok());
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern-edge"));
    command.env_clear();
    command
}

fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n"))
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

/// Whatever comes back, until the other end closes.
fn exchange_bytes(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    // Closed with unread bytes it is reset, which is an end as well.
    drop(stream.read_to_end(&mut Vec::new()));
}

/// HTTP/2 with twenty answers to pings that were never sent, and a frame that ends it.
fn pongs_that_nobody_asked_for() -> Vec<u8> {
    let pong = [0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..], &pong.repeat(20), &[0; 9]].concat()
}
