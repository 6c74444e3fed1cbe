//! Hears when another Core has announced a change, so that this one looks at once.
//!
//! What it misses without a connection, the look that comes every second finds.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// As `tx.announce` calls it.
const CHANNEL: &str = "postern_changes";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// A connection that was cut without a word looks like one on which nothing is announced.
const SILENCE_MAX: Duration = Duration::from_secs(30);

pub(super) async fn listen(options: PgConnectOptions, changed: watch::Sender<()>, stopping: CancellationToken) {
    let listening = async {
        loop {
            if let Err(error) = hear(&options, &changed).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "changes of other Cores are not heard");
                sleep(RECONNECT_PAUSE).await;
            }
        }
    };
    stopping.run_until_cancelled(listening).await;
}

/// Ends when nothing was heard for long.
async fn hear(options: &PgConnectOptions, changed: &watch::Sender<()>) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
    let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options.clone())).await?;
    listener.listen(CHANNEL).await?;
    // What was announced before this, nobody heard.
    changed.send_replace(());
    while let Ok(heard) = timeout(SILENCE_MAX, listener.recv()).await {
        heard?;
        changed.send_replace(());
    }
    Ok(())
}
