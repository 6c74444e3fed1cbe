//! Where the store of a test is: a file in a folder of its own, or an empty database of a real Postgres.

#[path = "../../../../tests/harness/postgres.rs"]
#[allow(dead_code, reason = "only whole-system tests stop and start a server")]
#[allow(unreachable_pub, reason = "it belongs to the harness of whole-system tests")]
mod postgres;

use std::path::{Path, PathBuf};

use postern_core::{
    sealing::MasterKey,
    secret::Secret,
    store::{Address, ServerAddress},
};
use tempfile::TempDir;

pub(crate) use self::postgres::Database;
#[allow(unused_imports, reason = "only one binary stops a server")]
pub(crate) use self::postgres::Postgres;

/// What the tests of this binary run on; each has one in its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each binary names one")]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// A folder with a master key, and a database. Both go with it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    /// `None`: the database is a file in the folder.
    pub(crate) server: Option<Database>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        MasterKey::create(&folder.path().join("master.key")).unwrap();
        let server = match crate::KIND {
            Kind::Sqlite => None,
            Kind::Postgres => Some(Database::create()),
        };
        Self { folder, server }
    }

    /// On a server, with the master key of this file.
    pub(crate) fn with_key(file: &Path, server: Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(file, folder.path().join("master.key")).unwrap();
        Self { folder, server: Some(server) }
    }

    pub(crate) fn key(&self) -> MasterKey {
        MasterKey::load(&self.folder.path().join("master.key")).unwrap()
    }

    /// Of a store on SQLite.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("core.db")
    }

    pub(crate) fn address(&self) -> Address {
        match &self.server {
            None => Address::File(self.file()),
            Some(database) => Address::Server(ServerAddress::parse(Secret::new(database.url())).unwrap()),
        }
    }
}
