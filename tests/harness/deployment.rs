//! `deploy/up` with a state folder and ports of its own. Dropping it runs `deploy/down`.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{
    Commands,
    ports::Ports,
    programs::{program, repository},
};

/// A running deployment.
#[derive(Debug)]
pub struct Deployment {
    state: TempDir,
    public: SocketAddr,
    _ports: Ports,
}

impl Deployment {
    /// Runs `deploy/up --detach`; `settings` are variables, with their prefixes.
    pub async fn up(settings: &[(String, String)]) -> Result<Self> {
        let mut ports = Ports::take()?;
        let public = ports.port()?;
        let state = tempfile::Builder::new().prefix("postern-play-").tempdir()?;
        let programs = program("postern-edge")?;
        let mut command = tokio::process::Command::new(repository().join("deploy/up"));
        command.arg("--detach").arg("--state").arg(state.path());
        command.arg("--programs").arg(programs.parent().context("a program lies in no folder")?);
        command.args(["--port", &public.to_string()]);
        for (flag, count) in [("--edge-port", 2), ("--https-port", 2), ("--tunnel-port", 2), ("--metrics-port", 3)] {
            let block = (0..count).map(|_| ports.port()).collect::<io::Result<Vec<_>>>()?;
            command.args([flag, &block[0].to_string()]);
        }
        let deployment = Self { state, public: (Ipv4Addr::LOCALHOST, public).into(), _ports: ports };
        // Whatever it has started by then, deploy/down finds.
        command.kill_on_drop(true).envs(settings.iter().cloned());
        let output = command.output().await.context("cannot run deploy/up")?;
        ensure!(output.status.success(), "deploy/up: {}", String::from_utf8_lossy(&output.stderr));
        Ok(deployment)
    }

    /// With a slash at its end, as Core gives it to clients.
    pub fn public_url(&self) -> String {
        format!("http://{}/", self.public)
    }

    /// An administrator beside this Core.
    pub fn commands(&self) -> Commands {
        Commands::at(&self.state.path().join("core/core.sock"))
    }

    /// Runs `deploy/down`.
    pub fn down(self) -> Result<()> {
        let output = down(self.state.path()).context("cannot run deploy/down")?;
        ensure!(output.status.success(), "deploy/down: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        // Twice does no harm, and nobody is left to tell an error to.
        drop(down(self.state.path()));
    }
}

fn down(state: &Path) -> std::io::Result<std::process::Output> {
    std::process::Command::new(repository().join("deploy/down")).arg("--state").arg(state).output()
}
