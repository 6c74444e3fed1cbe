//! Settings: flags over environment over file over defaults.
//!
//! Everything is parsed here, once, into types that cannot be wrong. All mistakes are reported together,
//! each with its key and where it came from.

mod layers;
mod mistake;
mod public_origin;
mod reader;
mod stock;
mod table;
mod value;

use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::error::ErrorKind;
use ipnet::IpNet;
use postern_proto::version::Zone;

use self::{layers::Layers, reader::Reader};
pub use self::{
    mistake::{Mistake, Mistakes, Remark},
    public_origin::PublicOrigin,
    table::{SETTINGS, Setting, command_line},
    value::{AcmeDirectory, LogFormat, LogLevel, NodeName, PublicUrl},
};

/// What the program was asked to do.
#[derive(Debug)]
pub struct Invocation {
    pub command: Command,
    pub settings: Settings,
    /// For the log, once there is one.
    pub remarks: Vec<Remark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Serve until told to stop.
    Serve,
    /// Read the settings, say whether they are right, and end.
    CheckConfig,
    /// Forget the identity and the Core that gave it.
    Reset,
    /// Ask the Edge of this machine whether it lives.
    Health,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub http_listen: SocketAddr,
    pub tunnel_listen: SocketAddr,
    pub metrics_listen: SocketAddr,
    pub public_url: PublicUrl,
    /// The same address as browsers name it.
    pub public_origin: PublicOrigin,
    pub identity_dir: PathBuf,
    pub https_listen: SocketAddr,
    pub acme_allowed: bool,
    pub acme_directory: AcmeDirectory,
    pub acme_ca_file: Option<PathBuf>,
    pub acme_listen: SocketAddr,
    pub trusted_proxies: Vec<IpNet>,
    pub adoption_from: Vec<IpNet>,
    pub adoption_window: Duration,
    pub name: NodeName,
    pub expose_name: bool,
    pub zone: Option<Zone>,
    pub drain_delay: Duration,
    pub grace: Duration,
    pub connections_max: NonZeroU32,
    pub connections_max_per_address: NonZeroU32,
    pub websockets_max: NonZeroU32,
    pub websockets_max_per_address: NonZeroU32,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
}

/// Why the program does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Wrong use of the command line, or a request for help; clap knows what to print.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
}

impl ConfigError {
    /// 0 after `--help`, 2 for wrong use, 78 (`EX_CONFIG`) for wrong settings.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => 0,
            Self::Usage(_) => 2,
            Self::Mistakes(_) => 78,
        }
    }
}

/// Reads the command line and everything it points to.
///
/// # Errors
/// [`ConfigError`], with every mistake in it.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Invocation, ConfigError> {
    let matches = command_line().try_get_matches_from(arguments)?;
    // The innermost matches hold all flags, wherever they stood.
    let (name, flags) = matches.subcommand().unwrap_or(("serve", &matches));
    let environment: BTreeMap<OsString, OsString> = environment.into_iter().collect();
    let mut layers = Layers::collect(flags, &environment);
    let remarks = std::mem::take(&mut layers.remarks);
    let settings = Settings::read(Reader::new(layers))?;
    let command = match name {
        "reset" => Command::Reset,
        "health" => Command::Health,
        _ if flags.get_flag("check_config") => Command::CheckConfig,
        _ => Command::Serve,
    };
    Ok(Invocation { command, settings, remarks })
}

impl Settings {
    fn read(mut from: Reader) -> Result<Self, Mistakes> {
        let (public_url, public_origin) = from.take("public_url");
        let settings = Self {
            http_listen: from.take("http_listen"),
            tunnel_listen: from.take("tunnel_listen"),
            metrics_listen: from.take("metrics_listen"),
            public_url,
            public_origin,
            identity_dir: from.take("identity_dir"),
            https_listen: from.take("https_listen"),
            acme_allowed: from.take("acme_allowed"),
            acme_directory: from.take("acme_directory"),
            acme_ca_file: from.take("acme_ca_file"),
            acme_listen: from.take("acme_listen"),
            trusted_proxies: from.take("trusted_proxies"),
            adoption_from: from.take("adoption_from"),
            adoption_window: from.take("adoption_window"),
            name: from.take("name"),
            expose_name: from.take("expose_name"),
            zone: from.take("zone"),
            drain_delay: from.take("drain_delay"),
            grace: from.take("grace"),
            connections_max: from.take("connections_max"),
            connections_max_per_address: from.take("connections_max_per_address"),
            websockets_max: from.take("websockets_max"),
            websockets_max_per_address: from.take("websockets_max_per_address"),
            log_level: from.take("log_level"),
            log_format: from.take("log_format"),
        };
        from.finish()?;
        Ok(settings)
    }
}
