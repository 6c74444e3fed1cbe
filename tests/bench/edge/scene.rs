//! One Edge with a FakeCore behind it, in processes of their own, and a folder for both.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use postern_tests::{
    Client,
    bench::{child::Child, http},
    cluster::START_LIMIT,
    eventually,
    ports::Ports,
};
use serde_json::json;
use tempfile::TempDir;

use crate::measure::Target;

/// As long as the real ones. What it says does not matter to a FakeCore.
const TOKEN: &str = "iGrLJH0kLDLWZfSXmKdJWDBoUU7WV0TC";

/// The two calls that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Poll,
    EnrollmentStart,
}

impl Call {
    pub(crate) const ALL: [Self; 2] = [Self::Poll, Self::EnrollmentStart];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Poll => "/api/v1/poll",
            Self::EnrollmentStart => "/api/v1/enrollment/start",
        }
    }

    /// The request with this token as a file, for the process that sends it.
    pub(crate) fn write_request(self, folder: &Path, token: &str) -> Result<PathBuf> {
        let path = folder.join(format!("{self:?}.request"));
        fs::write(&path, http::post(self.path(), &json!({ "token": token }).to_string()))?;
        Ok(path)
    }
}

/// A running Edge.
#[derive(Debug)]
pub(crate) struct Edge {
    process: Child,
    pub(crate) http: SocketAddr,
    tunnel: SocketAddr,
    log: PathBuf,
}

impl Edge {
    /// Starts the binary with default settings, but for addresses, its folder, and what is named.
    fn start(binary: &Path, folder: &Path, ports: &mut Ports, named: &[&str]) -> Result<Self> {
        let mut address = || ports.port().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let (http, tunnel, metrics) = (address()?, address()?, address()?);
        let mut command = Command::new(binary);
        command
            .env_clear()
            .arg(format!("--http-listen={http}"))
            .arg(format!("--tunnel-listen={tunnel}"))
            .arg(format!("--metrics-listen={metrics}"))
            .arg(format!("--identity-dir={}", folder.join("identity").display()))
            .args(named);
        let log = folder.join("edge.log");
        Ok(Self { process: Child::logged("postern-edge", &mut command, &log)?, http, tunnel, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until it answers 200; shows its log if it does not.
    async fn answers(&self, path: &str) -> Result<()> {
        let client = Client::new(self.http);
        let look = || async { client.get(path).await.is_ok_and(|reply| reply.status == 200) };
        let answered = eventually(&format!("the Edge answers {path} with 200"), START_LIMIT, look).await;
        answered.map(drop).with_context(|| fs::read_to_string(&self.log).unwrap_or_default())
    }
}

/// An adopted Edge, its FakeCore, and the requests it gets.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) edge: Edge,
    pub(crate) folder: TempDir,
    poll: PathBuf,
    enrollment_start: PathBuf,
    _fake_core: Child,
    _ports: Ports,
}

impl Scene {
    /// Starts all of it, with these further settings of the Edge, and waits until the Edge is ready.
    pub(crate) async fn set(binary: &Path, named: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut ports = Ports::take()?;
        let edge = Edge::start(binary, folder.path(), &mut ports, named)?;
        edge.answers("/livez").await?;
        let fake_core = Child::of_ourselves("fake-core", &[("--tunnel", edge.tunnel.to_string())])?;
        edge.answers("/readyz").await?;
        let poll = Call::Poll.write_request(folder.path(), TOKEN)?;
        let enrollment_start = Call::EnrollmentStart.write_request(folder.path(), TOKEN)?;
        Ok(Self { edge, folder, poll, enrollment_start, _fake_core: fake_core, _ports: ports })
    }

    pub(crate) fn request(&self, call: Call) -> &Path {
        match call {
            Call::Poll => &self.poll,
            Call::EnrollmentStart => &self.enrollment_start,
        }
    }

    /// A file with the body that the Edge answers to this call.
    pub(crate) async fn body(&self, call: Call) -> Result<PathBuf> {
        let answer = Client::new(self.edge.http).post(call.path(), &json!({ "token": TOKEN })).await?;
        ensure!(answer.status == 200, "{}: {} {:?}", call.path(), answer.status, answer.body);
        let path = self.folder.path().join(format!("{call:?}.body"));
        fs::write(&path, answer.body)?;
        Ok(path)
    }

    /// Load for the Edge itself.
    pub(crate) fn target(&self, call: Call) -> Target<'_> {
        Target { address: self.edge.http, request: self.request(call), pids: vec![self.edge.pid()], core: None }
    }
}
