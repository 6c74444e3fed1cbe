//! From SQLite to Postgres, and from one Core to several.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Cluster, Setup,
    start::{self, Site},
};
use crate::postgres::Database;

impl Cluster {
    /// Moves the store of the first Core, which must have ended, to an empty database; starts it there. What the command
    /// said.
    pub async fn move_to_postgres(&mut self) -> Result<Value> {
        let database = Database::create();
        let settings = start::on_postgres(&database, &self.folder().join("core"))?;
        let [(_, url), (_, password)] = &settings;
        let moved = self.cli(&["migrate-to-postgres", "--to", url, "--to-password-file", password]).await?;
        self.core.set(&settings);
        self.database = Some(database);
        self.core.start_again()?;
        self.core.listens().await?;
        Ok(moved)
    }

    /// One more Core on the same Postgres; where it stands in `beside`.
    pub async fn add_core(&mut self) -> Result<usize> {
        let database = self.database.as_ref().context("this cluster is on SQLite")?;
        let mut site = Site { folder: self.folder.path(), ports: &mut self.ports, public: self.nginx.public };
        let core = start::start_another_core(&mut site, self.beside.len() + 2, &Setup::default(), database)?;
        core.listens().await?;
        self.beside.push(core);
        Ok(self.beside.len() - 1)
    }
}
