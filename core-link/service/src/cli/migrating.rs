//! `migrate-to-postgres`: the whole store, from its file into a database of a server.

use std::time::{Duration, Instant};

use super::arguments::Migration;
use crate::{
    config::{Config, read_secret},
    control::{Answer, Migrated, StoreLock},
    sealing::MasterKey,
    store::{self, Address, ServerAddress},
};

/// A command may be at work on the file for a moment.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn migrate(config: &Config, migration: &Migration) -> anyhow::Result<Answer> {
    let Address::File(file) = &config.database else {
        anyhow::bail!("database names a server, {}; name the file that is to be copied", config.database);
    };
    let server = server(migration)?;
    anyhow::ensure!(file.exists(), "there is no database {}", file.display());
    let key = MasterKey::load(&config.master_key_file)?;
    let _lock = StoreLock::take_within(file, LOCK_PATIENCE).await?;
    let begun = Instant::now();
    let copied = store::copy(file, &server, &key).await?;
    Ok(Answer::Migrated(Migrated {
        to: server.to_string(),
        was_there: copied.was_there,
        seconds: begun.elapsed().as_secs_f64(),
        tables: copied.tables.into_iter().collect(),
    }))
}

fn server(migration: &Migration) -> anyhow::Result<ServerAddress> {
    let server = ServerAddress::parse(migration.to.clone());
    let server = server.map_err(|error| anyhow::anyhow!("--to, not shown as it may hold a password, is {error}"))?;
    let Some(file) = &migration.to_password_file else { return Ok(server) };
    anyhow::ensure!(!server.has_password(), "--to-password-file is one password too many: --to has one in its URL");
    let password = read_secret(file);
    let password = password.map_err(|expected| anyhow::anyhow!("--to-password-file is not {expected}"))?;
    Ok(server.with_password(password))
}
