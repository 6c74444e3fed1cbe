//! The Edge as a process on free ports of loopback.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use postern_edge::testing::{Answer, FakeCore, FakeTunnel, eventually, free_address};
use postern_proto::proxy::{HttpsCerts, core_response::Payload};
use tempfile::TempDir;

use crate::client;

const SOON: Duration = Duration::from_secs(10);

/// Ends with the test.
pub(crate) struct Program {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) tunnel: SocketAddr,
    pub(crate) metrics: SocketAddr,
    log: Arc<Mutex<String>>,
    pub(crate) folder: TempDir,
}

impl Program {
    /// Listens, and is not adopted yet.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_address(), arguments)
    }

    pub(crate) fn start_at(http: SocketAddr, arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let (identity, tunnel) = (folder.path().join("identity"), free_address());
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern-edge"));
        command.env_clear().args(["--identity-dir", identity.to_str().unwrap()]);
        command.args(["--http-listen", &http.to_string(), "--tunnel-listen", &tunnel.to_string()]);
        Self::start_as(command, folder, (http, tunnel), arguments)
    }

    /// The same, told in another way where it lives and listens.
    pub(crate) fn start_as(
        mut command: Command,
        folder: TempDir,
        (http, tunnel): (SocketAddr, SocketAddr),
        arguments: &[&str],
    ) -> Self {
        let (https, metrics) = (free_address(), free_address());
        let mut child = command
            .env("POSTERN_EDGE__HTTPS_LISTEN", https.to_string())
            .env("POSTERN_EDGE__METRICS_LISTEN", metrics.to_string())
            .env("POSTERN_EDGE__PUBLIC_URL", "https://vpn.example.org/")
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut program = Self { child, http, https, tunnel, metrics, log, folder };
        program.wait_until_it_listens();
        program
    }

    fn wait_until_it_listens(&mut self) {
        let begun = Instant::now();
        // Of its ports the last that it takes.
        while TcpStream::connect(self.tunnel).is_err() {
            assert!(begun.elapsed() < SOON && self.child.try_wait().unwrap().is_none(), "{}", self.log());
        }
    }

    /// Adopted, with a tunnel.
    pub(crate) async fn connected(arguments: &[&str]) -> (Self, FakeTunnel, FakeCore) {
        let (program, core) = (Self::start(arguments), FakeCore::stock());
        core.adopt(program.tunnel).await.unwrap();
        let tunnel = core.connect(program.tunnel, |_| Answer::Nothing).await;
        (program, tunnel, core)
    }

    /// Adopted, with a tunnel, and serving this certificate.
    pub(crate) async fn serving(certificate: &HttpsCerts, arguments: &[&str]) -> (Self, FakeTunnel, FakeCore) {
        let (program, tunnel, core) = Self::connected(arguments).await;
        tunnel.push(Payload::HttpsCerts(certificate.clone())).await;
        program.wait_for_https().await;
        (program, tunnel, core)
    }

    pub(crate) async fn wait_for_https(&self) {
        let address = self.https;
        eventually("https is listened for", || TcpStream::connect(address).is_ok()).await;
    }

    /// The Edge has noticed that whoever was connected has left.
    pub(crate) async fn wait_until_nobody_is_connected(&self) {
        let begun = Instant::now();
        while !self.metrics().await.lines().any(|line| line == "postern_edge_connections 0") {
            assert!(begun.elapsed() < SOON, "somebody is still connected");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn wait_for_log(&self, text: &str) {
        eventually(text, || self.log().contains(text)).await;
    }

    /// How many lines of the log say so.
    pub(crate) fn log_lines(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    pub(crate) async fn metrics(&self) -> String {
        client::get(self.metrics, "/metrics").await.text
    }

    pub(crate) fn identity(&self) -> std::path::PathBuf {
        self.folder.path().join("identity")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        assert!(killed.is_ok());
    }
}

/// Names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
