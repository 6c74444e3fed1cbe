//! A folder for one store, and a Core that runs on it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use postern_core_link::testing::free_address;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

pub(crate) struct Folder {
    folder: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
}

/// Killed with the test, unless it was ended before.
pub(crate) struct Core<'a> {
    folder: &'a Folder,
    process: Child,
    metrics: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), settings: Vec::new() }
    }

    /// With a setting in place of the usual one.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command line to its end.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Begins a command.
    pub(crate) fn begin(&self, line: &str) -> Child {
        self.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A command that succeeds.
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A running Core that takes commands.
    pub(crate) fn serve(&self) -> Core<'_> {
        self.serve_under(&[])
    }

    /// A running Core with more in its environment.
    pub(crate) fn serve_under(&self, environment: &[(&str, &str)]) -> Core<'_> {
        self.serve_on("127.0.0.1:0".to_owned(), environment)
    }

    pub(crate) fn serve_with_metrics(&self) -> Core<'_> {
        self.serve_on(free_address().to_string(), &[])
    }

    fn serve_on(&self, metrics: String, environment: &[(&str, &str)]) -> Core<'_> {
        let mut core = self.spawn(metrics, environment);
        core.listens();
        core
    }

    /// A Core that may still be waiting for something.
    pub(crate) fn start(&self) -> Core<'_> {
        self.start_with_metrics_on("127.0.0.1:0")
    }

    /// The same, with metrics on an address that somebody else may have.
    pub(crate) fn start_with_metrics_on(&self, address: &str) -> Core<'_> {
        self.spawn(address.to_owned(), &[])
    }

    /// A command line that somebody may end.
    pub(crate) fn spawn_line(&self, line: &str) -> Core<'_> {
        let process = self.command(line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        Core { folder: self, process, metrics: String::new() }
    }

    fn spawn(&self, metrics: String, environment: &[(&str, &str)]) -> Core<'_> {
        let mut command = self.command("serve");
        command.envs(environment.iter().copied());
        let process = command.args(["--metrics-listen", &metrics]).stderr(Stdio::piped()).spawn().unwrap();
        Core { folder: self, process, metrics }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern-core"));
        command.current_dir(self.folder.path()).env_clear().args(line.split(' '));
        for (name, value) in [
            ("DATABASE", "core.db"),
            ("MASTER_KEY_FILE", "master.key"),
            ("SOCKET", "run/core.sock"),
            ("METRICS_LISTEN", "127.0.0.1:0"),
            ("PUBLIC_URL", "https://vpn.example.com"),
        ] {
            command.env(format!("POSTERN_CORE__{name}"), value);
        }
        for (name, value) in &self.settings {
            command.env(format!("POSTERN_CORE__{name}"), value);
        }
        command
    }
}

impl Core<'_> {
    pub(crate) fn run(&self, line: &str) -> Output {
        self.folder.run(line)
    }

    pub(crate) fn json(&self, line: &str) -> Value {
        self.folder.json(line)
    }

    /// True if the command succeeds though nobody reads what it says.
    pub(crate) fn run_with_closed_stdout(&self, line: &str) -> bool {
        let mut process = self.folder.command(line).stdout(Stdio::piped()).spawn().unwrap();
        drop(process.stdout.take());
        process.wait().unwrap().success()
    }

    /// Waits until it takes commands.
    pub(crate) fn listens(&mut self) {
        until("Core takes commands", || {
            assert!(self.process.try_wait().unwrap().is_none(), "{}", self.log());
            UnixStream::connect(self.folder.path("run/core.sock")).is_ok()
        });
    }

    /// Waits until it takes commands, or has ended: then with what it said.
    pub(crate) fn listens_or_ends(&mut self) -> Result<(), String> {
        let mut ended = None;
        until("Core takes commands, or ends", || {
            ended = self.process.try_wait().unwrap();
            ended.is_some() || UnixStream::connect(self.folder.path("run/core.sock")).is_ok()
        });
        if ended.is_some() { Err(self.log()) } else { Ok(()) }
    }

    /// What Prometheus reads.
    pub(crate) fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.metrics).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// SIGTERM; Core ends in order.
    pub(crate) fn terminate(mut self) {
        self.signal();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{}", self.log());
    }

    /// SIGTERM; what it has said until its end.
    pub(crate) fn end(mut self) -> String {
        self.signal();
        let log = self.log();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{log}");
        log
    }

    /// SIGTERM.
    pub(crate) fn signal(&self) {
        self.send("TERM");
    }

    /// SIGSTOP: from now on it does nothing, and its connections stay.
    pub(crate) fn freeze(&self) {
        self.send("STOP");
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.send("CONT");
    }

    fn send(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }

    /// Waits for a line of the log with this text.
    pub(crate) fn logs(&mut self, text: &str) {
        // Byte by byte: what comes after the line is for whoever reads next.
        let stderr = self.process.stderr.as_mut().unwrap();
        let mut lines = BufReader::with_capacity(1, stderr).lines();
        assert!(lines.any(|line| line.unwrap().contains(text)), "the log ended without {text:?}");
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn log(&mut self) -> String {
        let mut log = String::new();
        if let Some(mut stderr) = self.process.stderr.take() {
            stderr.read_to_string(&mut log).unwrap();
        }
        log
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn error_of(output: &Output) -> String {
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["error"].as_str().unwrap().to_owned()
}

pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "not in time: {what}");
        sleep(LOOK_INTERVAL);
    }
}
