//! The Postgres that Cores share, on a host of its own in the intranet.

use anyhow::{Context, Result};
use postern_tests::{
    Namespace,
    postgres::{Ending, Listens, Postgres},
};
use tempfile::TempDir;

use crate::place::{DATABASE, INTRANET};

const NAME: &str = "postern";
const PORT: u16 = 5432;

/// Runs until it is dropped. Who asks for anything names its host.
#[derive(Debug)]
pub(crate) struct Database {
    server: Postgres,
    _folder: TempDir,
}

impl Database {
    pub(super) fn start(host: &Namespace) -> Result<Self> {
        // Of a user of its own, so not within the folder of the others.
        let folder = tempfile::Builder::new().prefix("postern-chaos-postgres-").tempdir()?;
        let listens = Listens { address: DATABASE.into(), network: INTRANET.to_owned() };
        let server = host.within(|| {
            let server = Postgres::start_for(folder.path(), PORT, listens)?;
            server.execute("postgres", &format!("CREATE DATABASE {NAME}"))?;
            Ok::<_, std::io::Error>(server)
        })?;
        Ok(Self { server: server.context("no Postgres")?, _folder: folder })
    }

    pub(super) fn url(&self) -> String {
        self.server.url(NAME)
    }

    pub(super) fn password(&self) -> &'static str {
        self.server.password()
    }

    /// What the server answers to this statement.
    pub(crate) fn ask(&self, host: &Namespace, statement: &str) -> Result<String> {
        host.within(|| self.server.execute(NAME, statement))?.context("Postgres does not answer")
    }

    pub(crate) fn end(&self, host: &Namespace, ending: Ending) -> Result<()> {
        host.within(|| self.server.end(ending))?.context("Postgres does not end")
    }

    /// Takes connections when this returns.
    pub(crate) fn start_again(&self, host: &Namespace) -> Result<()> {
        host.within(|| self.server.run_again())?.context("Postgres does not start again")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Where it has ended already, that is what was wanted.
        self.server.end(Ending::Immediate).ok();
    }
}
