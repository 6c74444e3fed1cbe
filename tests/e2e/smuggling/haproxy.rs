//! A real HAProxy in front of one Edge, with as little configuration as it takes.

use std::{fs, net::SocketAddr, path::Path, path::PathBuf};

use anyhow::Result;
use postern_tests::{Client, Process, cluster::START_LIMIT, eventually, process::Launch};

pub(super) struct HaProxy(#[expect(dead_code, reason = "kept so that it runs")] Process);

impl HaProxy {
    pub(super) async fn start(folder: &Path, public: SocketAddr, edge: SocketAddr) -> Result<Self> {
        let configuration = folder.join("haproxy.cfg");
        fs::write(&configuration, text(public, edge))?;
        let launch = Launch {
            name: "haproxy".to_owned(),
            program: PathBuf::from("haproxy"),
            arguments: vec!["-db".to_owned(), "-f".to_owned(), configuration.display().to_string()],
            environment: vec![(
                "PATH".to_owned(),
                format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()),
            )],
            log: folder.join("haproxy.log"),
        };
        let process = Process::start(launch)?;
        let client = Client::new(public);
        eventually("HAProxy answers", START_LIMIT, || async { client.get("/livez").await.is_ok() }).await?;
        Ok(Self(process))
    }
}

fn text(public: SocketAddr, edge: SocketAddr) -> String {
    format!(
        "defaults\n    mode http\n    timeout connect 1s\n    timeout client 10s\n    timeout server 10s\n    \
         option http-keep-alive\n    http-reuse always\n\
         frontend public\n    bind {public}\n    default_backend edges\n\
         backend edges\n    server edge-1 {edge}\n"
    )
}
