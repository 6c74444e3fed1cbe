//! Settings: flags over environment over file over defaults.
//!
//! Everything is parsed here, once, into values that cannot be wrong. Every mistake is found in one pass and is
//! named with its key and where it stood.

mod database;
mod layers;
mod mail;
mod openid;
mod parse;
mod table;

use std::{
    collections::BTreeMap, ffi::OsString, fmt, net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration,
};

pub use layers::Origin;
pub(crate) use parse::read_secret;
use postern_core_link::Zone;
use rustls_pki_types::CertificateDer;
pub use table::{PREFIX, SETTINGS, Setting};

use crate::{
    instance::AdminContact,
    mail::MailSettings,
    openid::Settings as OpenIdSettings,
    posture::Policy,
    store::Address,
    telemetry::{LogFormat, LogLevel},
};
use layers::Layers;

/// What Core was told, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A SQLite database in a file, or one of a Postgres server.
    pub database: Address,
    /// File of the key that seals every other secret.
    pub master_key_file: PathBuf,
    /// Unix socket on which commands arrive.
    pub socket: PathBuf,
    /// Where Prometheus may read; always loopback.
    pub metrics_listen: SocketAddr,
    /// What people type into a client, with a slash at the end.
    pub public_url: String,
    /// Name of this installation, as clients show it.
    pub instance_name: String,
    /// Edges of the same one prefer this Core.
    pub zone: Option<Zone>,
    /// Whom clients show as the one to ask.
    pub admin_contact: AdminContact,
    /// Passwords that are hashed at the same time.
    pub argon2_parallel: NonZeroUsize,
    /// How long requests in flight may take after SIGTERM.
    pub grace: Duration,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    /// Whether a client may skip setting up a device.
    pub vpn_setup_optional: bool,
    /// Whether nobody is activated without a second factor.
    pub mfa_required: bool,
    /// Markdown, at the end of enrollment.
    pub final_text: String,
    /// Whether devices are asked for their posture.
    pub posture: Policy,
    /// How long a passed login opens a location to a device.
    pub authorisation_lifetime: Duration,
    /// `None`: no mail is sent.
    pub mail: Option<MailSettings>,
    /// `None`: nobody signs in at an OpenID provider.
    pub openid: Option<OpenIdSettings>,
    /// Authorities, besides the public ones, that servers which Core talks to may be certified by.
    pub outbound_authorities: Vec<CertificateDer<'static>>,
}

/// Values given on the command line, by key.
pub type Flags = BTreeMap<&'static str, String>;

/// One thing that is wrong in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub key: String,
    pub problem: Problem,
    pub origin: Origin,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    Unknown,
    NotText,
    Invalid {
        value: String,
        expected: &'static str,
    },
    /// The same, where the value may be a secret or hold one.
    InvalidSecret {
        expected: &'static str,
    },
    Unreadable {
        reason: String,
    },
    /// It does not go together with another setting.
    Conflict {
        reason: String,
    },
}

/// Every mistake that was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub mistakes: Vec<Mistake>,
}

impl Config {
    /// Reads all layers.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::gather(flags, environment);
        let parsed = Self::parse(&mut layers);
        match parsed {
            Some(config) if layers.mistakes.is_empty() => Ok(config),
            Some(_) | None => Err(ConfigError { mistakes: layers.mistakes }),
        }
    }

    fn parse(layers: &mut Layers) -> Option<Self> {
        // Every value is asked for before the first `?`, so that all mistakes are found.
        let database = database::parse(layers);
        let master_key_file = layers.value("master_key_file", parse::path);
        let socket = layers.value("socket", parse::socket);
        let metrics_listen = layers.value("metrics_listen", parse::loopback);
        let public_url = layers.value("public_url", parse::public_url);
        let instance_name = layers.value("instance_name", parse::name);
        let zone = layers.value("zone", parse::zone);
        let admin_contact = layers.value("admin_contact", parse::admin_contact);
        let argon2_parallel = layers.value("argon2_parallel", parse::parallel);
        let grace = layers.value("grace", parse::duration);
        let log_level = layers.value("log_level", parse::log_level);
        let log_format = layers.value("log_format", parse::log_format);
        let vpn_setup_optional = layers.value("vpn_setup_optional", parse::boolean);
        let mfa_required = layers.value("mfa_required", parse::boolean);
        let final_text = layers.value("final_text", parse::text);
        let posture = layers.value("posture", parse::posture);
        let authorisation_lifetime = layers.value("authorisation_lifetime", parse::authorisation_lifetime);
        let mail = mail::parse(layers);
        let openid = openid::parse(layers);
        let outbound_authorities = layers.value("outbound_ca_file", parse::authorities);
        Some(Self {
            database: database?,
            master_key_file: master_key_file?,
            socket: socket?,
            metrics_listen: metrics_listen?,
            public_url: public_url?,
            instance_name: instance_name?,
            zone: zone?,
            admin_contact: admin_contact?,
            argon2_parallel: argon2_parallel?,
            grace: grace?,
            log_level: log_level?,
            log_format: log_format?,
            vpn_setup_optional: vpn_setup_optional?,
            mfa_required: mfa_required?,
            final_text: final_text?,
            posture: posture?,
            authorisation_lifetime: authorisation_lifetime?,
            mail: mail?,
            openid: openid?,
            outbound_authorities: outbound_authorities?,
        })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.mistakes.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {plural} in the configuration:", self.mistakes.len())?;
        for mistake in &self.mistakes {
            write!(f, "\n  {}: {} ({})", mistake.key, mistake.problem, mistake.origin)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such setting"),
            Self::NotText => f.write_str("expected one value, not a table or a list"),
            Self::Invalid { value, expected } => write!(f, "{value:?} is not {expected}"),
            Self::InvalidSecret { expected } => {
                write!(f, "what it says, not shown as it may be secret, is not {expected}")
            }
            Self::Unreadable { reason } | Self::Conflict { reason } => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn defaults_are_complete_and_valid() {
        let config = Config::load(&Flags::new(), []).unwrap();
        assert_eq!(config.public_url, "https://localhost/");
        assert_eq!(config.metrics_listen, "127.0.0.1:9465".parse().unwrap());
        assert_eq!(config.grace, Duration::from_secs(10));
    }

    #[test]
    fn a_flag_wins_over_a_variable_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("core.toml");
        std::fs::write(&file, "grace = '1s'\ninstance_name = 'from file'\nlog_level = 'warn'\n").unwrap();
        let flags = Flags::from([("config", file.display().to_string()), ("grace", "3s".to_owned())]);
        let environment = variables(&[("POSTERN_CORE__GRACE", "2s"), ("POSTERN_CORE__LOG_LEVEL", "debug")]);
        let config = Config::load(&flags, environment).unwrap();
        assert_eq!(config.grace, Duration::from_secs(3));
        assert_eq!(config.log_level, LogLevel::Debug);
        assert_eq!(config.instance_name, "from file");
    }

    #[test]
    fn every_mistake_is_named_with_its_key_and_where_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("core.toml");
        std::fs::write(&file, "databse = 'x'\nmetrics_listen = '0.0.0.0:1'\n").unwrap();
        let flags = Flags::from([("config", file.display().to_string()), ("grace", "5 parsecs".to_owned())]);
        let environment = variables(&[
            ("POSTERN_CORE__DATABASE", "postgres://core:hunter2@db:core"),
            ("POSTERN_CORE__SOKET", "/run/x"),
            ("POSTERN_CORE_PORT", "tcp://10.0.0.1:80"),
        ]);
        let error = Config::load(&flags, environment).unwrap_err().to_string();
        assert_eq!(
            error.lines().map(str::trim).collect::<Vec<_>>(),
            [
                "5 mistakes in the configuration:",
                &format!("databse: there is no such setting (file {})", file.display()),
                "soket: there is no such setting (variable POSTERN_CORE__SOKET)",
                "database: what it says, not shown as it may be secret, is not a file, or \
                 postgres://user@host:port/database (variable POSTERN_CORE__DATABASE)",
                &format!(
                    "metrics_listen: \"0.0.0.0:1\" is not a loopback address with a port, as 127.0.0.1:9465 (file {})",
                    file.display()
                ),
                "grace: \"5 parsecs\" is not a duration of at most 1h, as 90s or 10m (flag --grace)",
            ]
        );
    }

    #[test]
    fn a_file_that_is_missing_or_broken_is_a_mistake() {
        for content in [None, Some("grace = "), Some("[grace]\nx = 1")] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("core.toml");
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let flags = Flags::from([("config", file.display().to_string())]);
            let error = Config::load(&flags, []).unwrap_err();
            assert_eq!(error.mistakes.len(), 1, "{error}");
            assert!(error.to_string().contains("core.toml"), "{error}");
        }
    }
}
