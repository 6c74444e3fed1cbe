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

/// A database of a Postgres server, as `postgres://user:password@host:port/database`.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAddress {
    url: Secret,
    password: Option<Secret>,
}

/// The text is no such URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not postgres://user@host:port/database")]
pub struct AddressError;

impl ServerAddress {
    /// # Errors
    /// [`AddressError`], which never shows the text.
    pub fn parse(url: Secret) -> Result<Self, AddressError> {
        let text = url.expose();
        let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let options = PgConnectOptions::from_str(text).map_err(|_| AddressError)?;
        if !is_postgres || options.get_database().is_none_or(str::is_empty) {
            return Err(AddressError);
        }
        Ok(Self { url, password: None })
    }

    /// In place of one in the URL.
    #[must_use]
    pub fn with_password(self, password: Secret) -> Self {
        Self { password: Some(password), ..self }
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::from_str(self.url.expose()).unwrap_or_default();
        match &self.password {
            Some(password) => options.password(password.expose()),
            None => options,
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options();
        let database = options.get_database().unwrap_or_default();
        match options.get_socket() {
            Some(socket) => write!(f, "postgres:{}/{database}", socket.display()),
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
}
