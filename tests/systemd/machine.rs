//! A machine of its own with a real systemd as its first process, on this machine's programs; see `boot`.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use postern_tests::{
    Client, Namespace, Process, eventually,
    process::Launch,
    programs::{program, repository},
};
use tempfile::TempDir;

/// It takes less than a second.
const BOOT_MAX: Duration = Duration::from_secs(20);

/// Dropping it ends it and everything that runs on it.
#[derive(Debug)]
pub(crate) struct Machine {
    process: Process,
    systemd: u32,
    _folder: TempDir,
}

impl Machine {
    /// `network` is the machine's only one.
    pub(crate) async fn boot(network: &Namespace) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postern-systemd-").tempdir()?;
        let tests = repository().join("tests/systemd/boot");
        let paths = [folder.path(), &program("postern-edge")?, &program("postern-core")?, &repository().join("deploy")];
        let launch = Launch {
            name: "systemd".to_owned(),
            program: tests,
            arguments: paths.map(|path| path.display().to_string()).to_vec(),
            environment: Vec::new(),
            log: folder.path().join("boot.log"),
        };
        let mut process = Process::start_parent(network.inside(launch))?;
        let mut first = None;
        let booted = eventually("systemd has booted", BOOT_MAX, || {
            first = if process.is_running() { first.or_else(|| first_process(process.pid())) } else { None };
            async move {
                first.is_some_and(|pid| Path::new("/proc").join(format!("{pid}/root/run/systemd/private")).exists())
            }
        });
        booted.await.with_context(|| process.log())?;
        let machine = Self { process, systemd: first.context("no systemd")?, _folder: folder };
        // Running: everything was started, and nothing failed.
        let state = machine.run("systemctl is-system-running --wait").await.with_context(|| machine.process.log())?;
        ensure!(state == "running", "the machine is {state}");
        Ok(machine)
    }

    /// What a script prints on this machine, as root; fails when it fails.
    pub(crate) async fn run(&self, script: &str) -> Result<String> {
        let (succeeded, printed) = self.try_run(script).await?;
        ensure!(succeeded, "`{script}`: {printed}");
        Ok(printed)
    }

    /// The same, and whether it succeeded.
    pub(crate) async fn try_run(&self, script: &str) -> Result<(bool, String)> {
        let mut command = tokio::process::Command::new("nsenter");
        command.args([
            "--target",
            &self.systemd.to_string(),
            "--all",
            "--",
            "sh",
            "-euc",
            &format!("exec 2>&1; {script}"),
        ]);
        let output =
            command.env_remove("NOTIFY_SOCKET").kill_on_drop(true).output().await.context("cannot run nsenter")?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }

    /// One property of a service.
    pub(crate) async fn property(&self, unit: &str, property: &str) -> Result<String> {
        self.run(&format!("systemctl show --value --property={property} {unit}")).await
    }

    /// Everything that a service has said.
    pub(crate) async fn journal(&self, unit: &str) -> Result<String> {
        self.run(&format!("journalctl --sync; journalctl --no-pager --output=cat --unit={unit}")).await
    }

    /// Waits until `/readyz` of the Edge answers this, and says how long that took.
    pub(crate) async fn edge_answers(&self, edge: SocketAddr, status: u16) -> Result<Duration> {
        let client = Client::new(edge);
        let is_so = || async { client.get("/readyz").await.is_ok_and(|reply| reply.status == status) };
        eventually(&format!("/readyz says {status}"), Duration::from_secs(20), is_so).await
    }
}

/// The script that boots starts `unshare`, and that starts systemd.
fn first_process(boot: u32) -> Option<u32> {
    let is_systemd = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "systemd\n");
    children(boot).into_iter().flat_map(children).find(is_systemd)
}

fn children(parent: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
