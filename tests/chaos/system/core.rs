//! One Core on its host: started, asked, and looked at.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use postern_tests::{
    Commands, Namespace, Process,
    cluster::START_LIMIT,
    eventually,
    openid_provider::{CLIENT_ID, CLIENT_SECRET},
    process::Launch,
    programs::program,
};

use super::{database::Database, public, settings, value_of};

const METRICS_PORT: u16 = 9465;
/// Of a Core that is well, and of one that is frozen.
const METRICS_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) process: Process,
    pub(crate) name: String,
    environment: Vec<(String, String)>,
    socket: PathBuf,
}

/// What Cores share.
pub(super) struct Files<'a> {
    pub(super) folder: &'a Path,
    /// Of the OpenID provider on the first Core's host.
    pub(super) issuer: &'a str,
    pub(super) database: Option<&'a Database>,
}

impl Core {
    pub(super) fn start(host: &Namespace, files: &Files<'_>, number: usize, zone: String) -> Result<Self> {
        let name = format!("core-{number}");
        let own = files.folder.join(&name);
        fs::create_dir_all(&own)?;
        let socket = own.join("core.sock");
        let mut environment = settings(
            "POSTERN_CORE__",
            [
                ("MASTER_KEY_FILE", files.folder.join("master.key").display().to_string()),
                ("SOCKET", socket.display().to_string()),
                ("METRICS_LISTEN", format!("127.0.0.1:{METRICS_PORT}")),
                ("PUBLIC_URL", format!("http://{}/", public())),
                ("ZONE", zone),
            ],
        );
        environment.extend(match files.database {
            Some(database) => {
                let password = own.join("database-password");
                write_secret(&password, database.password())?;
                settings(
                    "POSTERN_CORE__",
                    [("DATABASE", database.url()), ("DATABASE_PASSWORD_FILE", password.display().to_string())],
                )
            }
            None => {
                let secret = own.join("openid-client-secret");
                write_secret(&secret, CLIENT_SECRET)?;
                settings(
                    "POSTERN_CORE__",
                    [
                        ("DATABASE", own.join("core.db").display().to_string()),
                        ("OPENID_ISSUER", files.issuer.to_owned()),
                        ("OPENID_CLIENT_ID", CLIENT_ID.to_owned()),
                        ("OPENID_CLIENT_SECRET_FILE", secret.display().to_string()),
                    ],
                )
            }
        });
        let launch = Launch {
            name: name.clone(),
            program: program("postern-core")?,
            arguments: vec!["serve".to_owned()],
            environment: environment.clone(),
            log: files.folder.join(format!("{name}.log")),
        };
        Ok(Self { process: Process::start(host.inside(launch))?, name, environment, socket })
    }

    /// An administrator beside it.
    pub(crate) fn commands(&self) -> Commands {
        Commands::new(self.environment.clone())
    }

    /// Waits until it takes commands.
    pub(crate) async fn listens(&self) -> Result<Duration> {
        eventually(&format!("{} listens on its socket", self.name), START_LIMIT, || async {
            tokio::net::UnixStream::connect(&self.socket).await.is_ok()
        })
        .await
    }

    /// How many requests it has answered since it was started. `host` is its own.
    pub(crate) fn answered(&self, host: &Namespace) -> Result<u64> {
        let metrics = host.within(read_metrics)?.with_context(|| format!("no metrics of {}", self.name))?;
        Ok(value_of(&metrics, "postern_core_requests_total") as u64)
    }
}

/// For nobody else to read.
fn write_secret(file: &Path, secret: &str) -> std::io::Result<()> {
    File::options().write(true).create_new(true).mode(0o600).open(file)?.write_all(secret.as_bytes())
}

/// Of whatever is on the host that this thread is on.
fn read_metrics() -> std::io::Result<Vec<u8>> {
    let address = (Ipv4Addr::LOCALHOST, METRICS_PORT).into();
    let mut stream = TcpStream::connect_timeout(&address, METRICS_PATIENCE)?;
    stream.set_read_timeout(Some(METRICS_PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
