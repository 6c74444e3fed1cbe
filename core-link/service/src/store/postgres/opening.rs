//! The first connection: waits for a server that is not up yet, and says in one sentence what keeps Core from it.

use std::time::{Duration, Instant};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError},
};
use tokio::time::{sleep, timeout};

use super::{
    migrations,
    trouble::{Trouble, trouble},
};
use crate::store::{OpenError, ServerAddress};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Servers and Cores often start together, and this is about how long service managers wait for either.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(500);
/// For a migration of a large table, and for the turn of another Core that migrates.
const MIGRATION_TIMEOUT: &str = "60000";

/// Connects, and brings the schema up to date.
pub(super) async fn prepare(options: &PgConnectOptions, server: &ServerAddress) -> Result<(), OpenError> {
    let options = options.clone().options([("statement_timeout", MIGRATION_TIMEOUT)]);
    let connection = connect_once(&options, server).await?;
    // What was done is committed.
    connection.close().await.ok();
    Ok(())
}

/// Brings the schema up to date, and stays connected.
pub(super) async fn connect_once(
    options: &PgConnectOptions,
    server: &ServerAddress,
) -> Result<PgConnection, OpenError> {
    let mut connection = connect(options, server).await?;
    migrations::run(&mut connection, server).await?;
    Ok(connection)
}

/// Whether nothing has ever been stored in it under a master key.
pub(super) async fn is_new(options: &PgConnectOptions, server: &ServerAddress) -> Result<bool, OpenError> {
    let failed = |source: sqlx::Error| OpenError::Database { database: server.to_string(), source: source.into() };
    let mut connection = connect(options, server).await?;
    let look = async {
        let table: Option<String> =
            sqlx::query_scalar("SELECT to_regclass('master_key_check')::text").fetch_one(&mut connection).await?;
        if table.is_none() {
            return Ok(true);
        }
        let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM master_key_check").fetch_one(&mut connection).await?;
        Ok(rows == 0)
    };
    let is_new = timeout(LOOK_TIMEOUT, look).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(failed)?;
    connection.close().await.ok();
    Ok(is_new)
}

async fn connect(options: &PgConnectOptions, server: &ServerAddress) -> Result<PgConnection, OpenError> {
    let end = Instant::now() + PATIENCE;
    let mut has_told = false;
    loop {
        let error = match timeout(CONNECT_TIMEOUT, options.connect()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::PoolTimedOut,
        };
        if !may_come(&error) || Instant::now() >= end {
            return Err(refused(error, server));
        }
        if !std::mem::replace(&mut has_told, true) {
            tracing::warn!(database = %server, "the database server does not answer yet, waiting for it");
        }
        sleep(PAUSE).await;
    }
}

/// Not there, starting up, or full.
fn may_come(error: &sqlx::Error) -> bool {
    !matches!(error, sqlx::Error::Tls(_)) && matches!(trouble(error), Trouble::Lost | Trouble::Server)
}

fn refused(error: sqlx::Error, server: &ServerAddress) -> OpenError {
    let database = server.to_string();
    let code = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    match code.map(PgDatabaseError::code) {
        Some("28P01" | "28000") => OpenError::WrongPassword { database },
        Some("3D000") => OpenError::NoSuchDatabase { database },
        Some(_) | None => OpenError::Unreachable { database, source: error.into() },
    }
}
