//! How the programs of a cluster are started: with which settings, and where their files lie.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::Result;

use super::{Edge, Setup};
use crate::{Process, ports::Ports, process::Launch, programs::program};

/// What all programs of a cluster share.
#[derive(Debug)]
pub(super) struct Site<'a> {
    pub(super) folder: &'a Path,
    pub(super) ports: &'a mut Ports,
    pub(super) public: SocketAddr,
}

/// Core, and the environment that its commands need as well.
pub(super) fn start_core(site: &mut Site<'_>, setup: &Setup) -> Result<(Process, Vec<(String, String)>)> {
    let own = site.folder.join("core");
    fs::create_dir_all(&own)?;
    let data = setup.core_folder.as_ref().unwrap_or(&own);
    let mut environment = settings(
        "POSTERN_CORE__",
        [
            ("DATABASE", data.join("core.db").display().to_string()),
            ("MASTER_KEY_FILE", data.join("master.key").display().to_string()),
            ("SOCKET", own.join("core.sock").display().to_string()),
            ("METRICS_LISTEN", loopback(site.ports.port()?).to_string()),
            ("PUBLIC_URL", format!("http://{}/", site.public)),
            ("LOG_LEVEL", setup.log_level.to_owned()),
        ],
    );
    environment.extend(settings("POSTERN_CORE__", setup.core_settings.iter().cloned()));
    let launch = Launch {
        name: "core".to_owned(),
        program: program("postern-core")?,
        arguments: vec!["serve".to_owned()],
        environment: environment.clone(),
        log: site.folder.join("core.log"),
    };
    Ok((Process::start(launch)?, environment))
}

pub(super) fn start_edge(site: &mut Site<'_>, number: usize, setup: &Setup) -> Result<Edge> {
    let name = format!("edge-{number}");
    let mut address = || site.ports.port().map(loopback);
    let (http, https, tunnel, metrics) = (address()?, address()?, address()?, address()?);
    let mut environment = settings(
        "POSTERN_EDGE__",
        [
            ("HTTP_LISTEN", http.to_string()),
            ("HTTPS_LISTEN", https.to_string()),
            ("TUNNEL_LISTEN", tunnel.to_string()),
            ("METRICS_LISTEN", metrics.to_string()),
            ("PUBLIC_URL", format!("http://{}/", site.public)),
            ("IDENTITY_DIR", site.folder.join(&name).display().to_string()),
            ("TRUSTED_PROXIES", "127.0.0.1/32".to_owned()),
            ("ADOPTION_FROM", "127.0.0.0/8".to_owned()),
            ("NAME", name.clone()),
            ("EXPOSE_NAME", "true".to_owned()),
            ("LOG_LEVEL", setup.log_level.to_owned()),
        ],
    );
    environment.extend(settings("POSTERN_EDGE__", setup.edge_settings.iter().cloned()));
    let launch = Launch {
        name: name.clone(),
        program: program("postern-edge")?,
        arguments: vec!["serve".to_owned()],
        environment,
        log: site.folder.join(format!("{name}.log")),
    };
    Ok(Edge { process: Process::start(launch)?, name, http, https, tunnel })
}

fn settings(prefix: &str, values: impl IntoIterator<Item = (&'static str, String)>) -> Vec<(String, String)> {
    values.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)).collect()
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
