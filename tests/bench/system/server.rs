//! A Postgres of the bench's own, with the settings that one comes with: each commit survives a crash of the machine.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

use anyhow::{Context as _, Result};
use postern_core::{
    secret::Secret,
    store::{Address, ServerAddress},
};
use postern_tests::{ports::free_address, postgres::Postgres};
use tempfile::TempDir;

/// Stopped when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    postgres: Postgres,
    _folder: TempDir,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        // Its user is another one.
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("postern-bench-").permissions(Permissions::from_mode(0o755)).tempdir()?;
        let postgres = Postgres::start_lasting(&folder.path().join("server"), free_address().port())?;
        Ok(Self { postgres, _folder: folder })
    }

    pub(crate) fn create(&self, database: &str) -> Result<()> {
        self.postgres.execute("postgres", &format!("CREATE DATABASE {database} TEMPLATE template0"))?;
        Ok(())
    }

    /// A database with all that is in another, which nobody uses now.
    pub(crate) fn copy(&self, database: &str, from: &str) -> Result<()> {
        // Of a store that was closed, the last session may still be leaving.
        let leave = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'");
        self.postgres.execute("postgres", &leave)?;
        self.postgres.execute("postgres", &format!("CREATE DATABASE {database} TEMPLATE {from}"))?;
        Ok(())
    }

    /// What a server does by itself within a minute.
    pub(crate) fn look_at_tables(&self, database: &str) -> Result<()> {
        self.postgres.execute(database, "VACUUM ANALYZE")?;
        Ok(())
    }

    pub(crate) fn url(&self, database: &str) -> String {
        self.postgres.url(database)
    }

    pub(crate) fn address(&self, database: &str) -> Result<Address> {
        let address = ServerAddress::parse(Secret::new(self.url(database)));
        Ok(Address::Server(address.context("the server's own address")?))
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.postgres.pid()?.try_into()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to use it.
        self.postgres.stop().ok();
    }
}
