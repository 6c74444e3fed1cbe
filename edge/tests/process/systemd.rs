//! What systemd hears of an Edge, on a socket as systemd has one.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use postern_edge::testing::free_address;

use crate::{Edge, SOON, program};

/// What is asked for; an Edge tells thrice within it that it lives.
const WATCHDOG: Duration = Duration::from_millis(300);

#[test]
fn systemd_is_told_when_an_edge_serves_that_it_lives_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let systemd = Systemd::listen(folder.path());
    let mut edge = Edge::start_as(systemd.watched_program(), folder.path(), &[]);
    systemd.hears("READY=1");
    TcpStream::connect(edge.tunnel).unwrap();
    assert!(edge.health().success());
    let begun = Instant::now();
    for _ in 0..6 {
        systemd.hears("WATCHDOG=1");
    }
    assert!(begun.elapsed() < WATCHDOG * 4, "{:?} for what is to take twice the time of the watchdog", begun.elapsed());
    edge.signal("TERM");
    systemd.hears("STOPPING=1");
    assert_eq!(edge.exit().code(), Some(0));
}

#[test]
fn an_edge_that_waits_for_a_port_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let systemd = Systemd::listen(folder.path());
    let address = free_address().to_string();
    let taken = TcpListener::bind(&address).unwrap();
    let mut edge = Edge::start_as(systemd.program(), folder.path(), &["--metrics-listen", &address]);
    edge.read_log_until("trying again");
    assert_eq!(systemd.heard(), None);
    drop(taken);
    systemd.hears("READY=1");
    assert!(edge.health().success());
}

#[test]
fn an_edge_that_stands_still_is_silent_and_one_that_drains_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let systemd = Systemd::listen(folder.path());
    // It still accepts connections for the whole test.
    let mut edge = Edge::start_as(systemd.watched_program(), folder.path(), &["--drain-delay", "30s"]);
    systemd.hears("READY=1");
    edge.signal("STOP");
    wait_until_it_stands_still(&edge.child);
    while systemd.heard().is_some() {}
    // That nothing comes shows in time only.
    std::thread::sleep(WATCHDOG * 2);
    assert_eq!(systemd.heard(), None);
    edge.signal("CONT");
    systemd.hears("WATCHDOG=1");
    edge.signal("TERM");
    systemd.hears("STOPPING=1");
    for _ in 0..6 {
        systemd.hears("WATCHDOG=1");
    }
    assert!(edge.child.try_wait().unwrap().is_none());
}

/// SIGSTOP takes a moment to reach every thread.
fn wait_until_it_stands_still(child: &Child) {
    let begun = Instant::now();
    let tasks = format!("/proc/{}/task", child.id());
    let is_still = |task: &Path| fs::read_to_string(task.join("stat")).is_ok_and(|stat| stat.contains(") T "));
    while !fs::read_dir(&tasks).unwrap().all(|task| is_still(&task.unwrap().path())) {
        assert!(begun.elapsed() < SOON, "it does not stand still");
    }
}

/// The socket on which systemd listens.
struct Systemd {
    socket: UnixDatagram,
    path: String,
}

impl Systemd {
    fn listen(folder: &Path) -> Self {
        let path = folder.join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self { socket, path: path.to_str().unwrap().to_owned() }
    }

    fn program(&self) -> Command {
        let mut program = program();
        program.env("NOTIFY_SOCKET", &self.path);
        program
    }

    fn watched_program(&self) -> Command {
        let mut program = self.program();
        program.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        program
    }

    /// Waits for a state; those before it are skipped.
    fn hears(&self, state: &str) {
        let mut told = [0; 256];
        loop {
            let length = self.socket.recv(&mut told).unwrap_or_else(|error| panic!("no {state}: {error}"));
            if String::from_utf8_lossy(&told[..length]).lines().any(|line| line == state) {
                return;
            }
        }
    }

    /// What has come already.
    fn heard(&self) -> Option<String> {
        let mut told = [0; 256];
        self.socket.set_nonblocking(true).unwrap();
        let length = self.socket.recv(&mut told);
        self.socket.set_nonblocking(false).unwrap();
        length.ok().map(|length| String::from_utf8_lossy(&told[..length]).into_owned())
    }
}
