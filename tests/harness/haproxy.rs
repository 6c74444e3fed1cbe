//! A real HAProxy running `nginx/haproxy.cfg`, with addresses of its own and nothing else changed.

use std::{fmt::Write as _, fs, net::SocketAddr, path::Path, path::PathBuf};

use anyhow::{Context, Result, ensure};

use crate::{
    process::{Launch, Process},
    programs::repository,
};

/// A running HAProxy.
#[derive(Debug)]
pub struct HaProxy {
    pub process: Process,
}

impl HaProxy {
    pub fn start(folder: &Path, public: SocketAddr, edges: &[SocketAddr]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let shipped = fs::read_to_string(repository().join("nginx/haproxy.cfg")).context("cannot read haproxy.cfg")?;
        let file = folder.join("haproxy.cfg");
        fs::write(&file, with_addresses(&shipped, public, edges)?)?;
        let launch = Launch {
            name: "haproxy".to_owned(),
            program: PathBuf::from("haproxy"),
            arguments: vec!["-db".to_owned(), "-f".to_owned(), file.display().to_string()],
            environment: Vec::new(),
            log: folder.join("haproxy.log"),
        };
        Ok(Self { process: Process::start(launch)? })
    }
}

/// The shipped file with the `bind` and `server` lines of an admin.
fn with_addresses(shipped: &str, public: SocketAddr, edges: &[SocketAddr]) -> Result<String> {
    let (mut text, mut binds) = (String::new(), 0);
    for line in shipped.lines() {
        match line.split_whitespace().next() {
            Some("bind") => {
                binds += 1;
                writeln!(text, "    bind {public}")?;
            }
            Some("server") => {}
            _ => writeln!(text, "{line}")?,
        }
    }
    ensure!(binds == 1, "haproxy.cfg has {binds} `bind` lines");
    // The list stands at the end of the file.
    for (number, edge) in edges.iter().enumerate() {
        writeln!(text, "    server edge-{} {edge}", number + 1)?;
    }
    Ok(text)
}
