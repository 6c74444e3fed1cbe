//! Where a store is: a file of SQLite, or a database of a Postgres server.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use sqlx::postgres::PgConnectOptions;

use crate::secret::Secret;

/// Where the store is. Shown without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    File(PathBuf),
    Server(ServerAddress),
}

/// A database of a Postgres server, as `postgres://user@host:port/database`.
///
/// A password that was mistyped into another part is looked for: what is shown of a server never holds one.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAddress {
    url: Secret,
    password: Option<Secret>,
}

/// The text is no such URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not postgres://user@host:port/database")]
pub struct AddressError;

/// What may stand behind the `?`. Of anything else the driver would log the value.
const PARAMETERS: [&str; 8] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "user", "options"];

impl ServerAddress {
    /// # Errors
    /// [`AddressError`], which never shows the text.
    pub fn parse(url: Secret) -> Result<Self, AddressError> {
        if !is_clear(url.expose()) {
            return Err(AddressError);
        }
        let options = PgConnectOptions::from_str(url.expose()).map_err(|_| AddressError)?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(AddressError);
        }
        Ok(Self { url, password: None })
    }

    /// Whether the URL itself holds a password.
    pub fn has_password(&self) -> bool {
        let (_, rest) = self.url.expose().split_once("://").unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    }

    /// In place of one in the URL.
    #[must_use]
    pub fn with_password(self, password: Secret) -> Self {
        Self { password: Some(password), ..self }
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::from_str(self.url.expose()).unwrap_or_default();
        // The driver asks the resolver for an IPv6 address as it stands in a URL.
        let bare = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
        let options = match bare {
            Some(host) => options.host(&host),
            None => options,
        };
        match &self.password {
            Some(password) => options.password(password.expose()),
            None => options,
        }
    }
}

/// Each part is what it seems: a character of a password that ended one too early has not made it part of another.
fn is_clear(text: &str) -> bool {
    let scheme = ["postgres://", "postgresql://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some((authority, rest)) = scheme.and_then(|rest| rest.split_once('/')) else { return false };
    let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_known = |pair: &str| pair.split_once('=').is_some_and(|(key, _)| PARAMETERS.contains(&key));
    !authority.contains(['?', '#'])
        && !database.contains(['/', '@', ':', '#'])
        && !query.contains(['@', '#'])
        && (query.is_empty() || query.split('&').all(is_known))
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options();
        let database = options.get_database().unwrap_or_default();
        match options.get_socket() {
            Some(socket) => write!(f, "postgres:{}/{database}", socket.display()),
            None if options.get_host().contains(':') => {
                write!(f, "postgres://[{}]:{}/{database}", options.get_host(), options.get_port())
            }
            None => write!(f, "postgres://{}:{}/{database}", options.get_host(), options.get_port()),
        }
    }
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerAddress({self})")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Server(server) => write!(f, "{server}"),
        }
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Address {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<ServerAddress, AddressError> {
        ServerAddress::parse(Secret::new(text.to_owned()))
    }

    #[test]
    fn a_server_is_shown_without_user_and_password() {
        let address = parsed("postgres://core:hunter2@db.example:5433/postern?sslmode=verify-full").unwrap();
        let address = address.with_password(Secret::new("hunter3".to_owned()));
        assert_eq!(address.to_string(), "postgres://db.example:5433/postern");
        assert_eq!(format!("{address:?}"), "ServerAddress(postgres://db.example:5433/postern)");
    }

    #[test]
    fn what_names_no_database_is_refused() {
        for text in ["postgres://db.example", "mysql://db.example/postern", "postgres://", "core.db", "postgres://[/x"]
        {
            assert_eq!(parsed(text), Err(AddressError), "{text}");
        }
    }

    #[test]
    fn a_password_that_ends_up_elsewhere_is_refused() {
        for text in [
            "postgres://core:12/hunter2@db.example/postern",
            "postgres://core:12?hunter2@db.example/postern",
            "postgres://core:12#hunter2@db.example/postern",
            "postgres://core:12/a?hunter2@db.example/postern",
            "postgres://core@db.example/postern?pasword=hunter2",
            "postgres://core@db.example/postern?password=hunter2",
            "postgres://core@db.example/postern:hunter2",
            "postgres://core@db.example/postern#hunter2",
        ] {
            assert_eq!(parsed(text), Err(AddressError), "{text}");
        }
    }

    #[test]
    fn a_socket_and_an_address_of_six_are_understood() {
        let socket = parsed("postgres:///postern?host=/run/postgresql&user=core").unwrap();
        assert_eq!(socket.to_string(), "postgres:/run/postgresql/postern");
        let six = parsed("postgres://core@[::1]:5433/postern").unwrap();
        assert_eq!(six.options().get_host(), "::1");
        assert_eq!(six.to_string(), "postgres://[::1]:5433/postern");
    }

    #[test]
    fn it_is_known_whether_the_url_has_a_password() {
        for (text, has) in [("core:x@", true), ("core:p@ss@", true), ("core@", false), ("", false)] {
            assert_eq!(parsed(&format!("postgres://{text}db.example/postern")).unwrap().has_password(), has, "{text}");
        }
    }
}
