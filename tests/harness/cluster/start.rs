//! How the programs of a cluster are started: with which settings, and where their files lie.

use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::Result;
use postern_core::sealing::MasterKey;

use super::{Core, Cores, Edge, Setup};
use crate::{Process, ports::Ports, postgres::Database, process::Launch, programs::program, secrets};

/// What all programs of a cluster share.
#[derive(Debug)]
pub(super) struct Site<'a> {
    pub(super) folder: &'a Path,
    pub(super) ports: &'a mut Ports,
    pub(super) public: SocketAddr,
}

/// All Cores, at the same moment. On Postgres each has the same master key in a file of its own.
pub(super) fn start_cores(site: &mut Site<'_>, setup: &Setup, database: Option<&Database>) -> Result<Vec<Core>> {
    let count = match setup.cores {
        Cores::OneOnSqlite => 1,
        Cores::OnPostgres(count) | Cores::OnServer(count) => count,
    };
    let own = |number| site.folder.join(name("core", number));
    for number in 1..=count {
        fs::create_dir_all(own(number))?;
        if number == 1 && database.is_some() {
            MasterKey::create(&own(1).join("master.key"))?;
        } else if number > 1 && setup.core_folder.is_none() {
            fs::copy(own(1).join("master.key"), own(number).join("master.key"))?;
        }
    }
    (1..=count).map(|number| start_core(site, number, setup, database)).collect()
}

/// One more beside the first, with its master key.
pub(super) fn start_another_core(
    site: &mut Site<'_>,
    number: usize,
    setup: &Setup,
    database: &Database,
) -> Result<Core> {
    let own = site.folder.join(name("core", number));
    fs::create_dir_all(&own)?;
    fs::copy(site.folder.join("core/master.key"), own.join("master.key"))?;
    start_core(site, number, setup, Some(database))
}

fn start_core(site: &mut Site<'_>, number: usize, setup: &Setup, database: Option<&Database>) -> Result<Core> {
    let name = name("core", number);
    let own = site.folder.join(&name);
    let (data, socket) = (setup.core_folder.as_ref().unwrap_or(&own), own.join("core.sock"));
    let mut environment = settings(
        "POSTERN_CORE__",
        [
            ("DATABASE", data.join("core.db").display().to_string()),
            ("MASTER_KEY_FILE", data.join("master.key").display().to_string()),
            ("SOCKET", socket.display().to_string()),
            ("METRICS_LISTEN", loopback(site.ports.port()?).to_string()),
            ("PUBLIC_URL", format!("http://{}/", site.public)),
            ("LOG_LEVEL", setup.log_level.to_owned()),
        ],
    );
    if let Some(database) = database {
        environment.extend(settings("POSTERN_CORE__", on_postgres(database, &own)?));
    }
    environment.extend(settings("POSTERN_CORE__", zone(setup, number)));
    environment.extend(settings("POSTERN_CORE__", setup.core_settings.iter().cloned()));
    let launch = Launch {
        name: name.clone(),
        program: program("postern-core")?,
        arguments: vec!["serve".to_owned()],
        environment: environment.clone(),
        log: site.folder.join(format!("{name}.log")),
    };
    Ok(Core { process: Process::start(launch)?, name, environment, socket })
}

/// Settings of a Core on this database. The server asks for no password; that the Core has one is for the logs, which must
/// not.
pub(super) fn on_postgres(database: &Database, folder: &Path) -> Result<[(&'static str, String); 2]> {
    const PASSWORD: &str = "the-password-of-the-database";
    secrets::remember_text(PASSWORD);
    let file = folder.join("database-password");
    fs::write(&file, PASSWORD)?;
    fs::set_permissions(&file, Permissions::from_mode(0o600))?;
    Ok([("DATABASE", database.url()), ("DATABASE_PASSWORD_FILE", file.display().to_string())])
}

/// The first has the plain name.
fn name(kind: &str, number: usize) -> String {
    if number == 1 { kind.to_owned() } else { format!("{kind}-{number}") }
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
    environment.extend(settings("POSTERN_EDGE__", zone(setup, number)));
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

fn zone(setup: &Setup, number: usize) -> Option<(&'static str, String)> {
    setup.zones.then(|| ("ZONE", format!("zone-{number}")))
}

fn settings(prefix: &str, values: impl IntoIterator<Item = (&'static str, String)>) -> Vec<(String, String)> {
    values.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)).collect()
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
