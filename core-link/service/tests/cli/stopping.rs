//! How a Core ends: in order, within its grace limit, or at once when it is told twice.

use std::{
    io::Write,
    os::unix::net::{UnixDatagram, UnixStream},
    time::{Duration, Instant},
};

use postern_core_link::testing::{FakeEdge, FakeTunnel, Manner};
use postern_proto::{
    client_types::EnrollmentStartRequest,
    proxy::{core_request, core_response},
};

use crate::core::Folder;

/// A second signal is obeyed within this.
const AT_ONCE: Duration = Duration::from_secs(2);
/// For a socket that a test waits on.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn systemd_is_told_when_core_is_ready_that_it_lives_and_when_it_stops() {
    let folder = Folder::new();
    let systemd = Systemd::listen(&folder);
    let core = folder
        .serve_under(&[("NOTIFY_SOCKET", folder.path("notify.sock").to_str().unwrap()), ("WATCHDOG_USEC", "300000")]);
    systemd.hears("READY=1");
    systemd.hears("WATCHDOG=1");
    systemd.hears("WATCHDOG=1");
    core.terminate();
    systemd.hears("STOPPING=1");
}

#[test]
fn a_core_that_stops_tells_its_edges_and_answers_what_they_had_sent() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = Folder::new();
    let core = folder.serve();
    let mut edge = runtime.block_on(FakeEdge::unadopted(Manner::Ours));
    core.json(&format!("edge add {}", edge.address()));
    let mut tunnel = runtime.block_on(edge.tunnel());
    const REQUESTS: u64 = 200;
    runtime.block_on(async {
        for id in 1..=REQUESTS {
            let token = "x".repeat(32);
            tunnel.send(id, core_request::Payload::EnrollmentStart(EnrollmentStartRequest { token })).await;
        }
    });

    core.signal();

    let (answered, was_told) =
        runtime.block_on(async { tokio::time::timeout(PATIENCE, read(&mut tunnel)).await.unwrap() });
    assert_eq!((answered, was_told), (REQUESTS, true));
    assert_eq!(core.wait(), Some(0));
    assert_eq!(runtime.block_on(edge.dials(1)).len(), 2, "one for its adoption, one for its tunnel, and none since");
    assert!(!folder.path("run/core.sock").exists());
}

#[test]
fn a_command_that_runs_when_core_stops_is_answered() {
    let folder = Folder::new();
    let core = folder.serve();
    let mut command = UnixStream::connect(folder.path("run/core.sock")).unwrap();
    command.write_all(b"{\"User\":").unwrap();
    core.signal();
    command.write_all(b"\"List\"}\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut command, &mut answer).unwrap();
    assert_eq!(answer, "{\"Answer\":{\"Users\":[]}}\n");
    assert_eq!(core.wait(), Some(0));
}

#[test]
fn a_second_signal_ends_core_at_once() {
    let folder = Folder::new();
    let mut core = folder.serve();
    // Core waits for the rest of this command.
    let _command = UnixStream::connect(folder.path("run/core.sock")).unwrap();
    core.signal();
    core.logs("core is stopping");
    let told = Instant::now();
    core.signal();
    assert_eq!(core.wait(), Some(1));
    assert!(told.elapsed() < AT_ONCE, "{:?}", told.elapsed());
}

#[test]
fn what_hangs_is_cut_off_after_the_grace_limit() {
    let folder = Folder::new();
    let mut core = folder.serve_under(&[("POSTERN_CORE__GRACE", "1s")]);
    let _command = UnixStream::connect(folder.path("run/core.sock")).unwrap();
    core.signal();
    core.logs("what was in flight was cut off after the grace limit");
    assert_eq!(core.wait(), Some(0));
}

/// Reads to the tunnel's end: how many replies there were, and whether Core said that it drains.
async fn read(tunnel: &mut FakeTunnel) -> (u64, bool) {
    let (mut answered, mut was_told) = (0, false);
    while let Some(message) = tunnel.next().await {
        answered += u64::from(message.id > 0);
        was_told |= matches!(message.payload, Some(core_response::Payload::Draining(_)));
    }
    (answered, was_told)
}

/// The socket on which systemd listens.
struct Systemd(UnixDatagram);

impl Systemd {
    fn listen(folder: &Folder) -> Self {
        let socket = UnixDatagram::bind(folder.path("notify.sock")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// Waits for a state; those before it are skipped.
    fn hears(&self, state: &str) {
        let mut told = [0; 256];
        loop {
            let length = self.0.recv(&mut told).unwrap_or_else(|error| panic!("no {state}: {error}"));
            if String::from_utf8_lossy(&told[..length]).lines().any(|line| line == state) {
                return;
            }
        }
    }
}
