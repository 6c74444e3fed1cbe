//! A Core that is frozen within a transaction: the others go on, and it has done nothing when it wakes.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection};
use tokio::runtime::{Builder, Runtime};

use crate::{
    core::until,
    postgres::{Database, beside},
};

/// The server ends a session that is silent within a transaction for a second.
const HELD_MAX: Duration = Duration::from_millis(1800);
/// By then every caller has left.
const FROZEN: Duration = Duration::from_secs(5);
const WAITING: &str = "SELECT COUNT(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'postern-core' AND wait_event_type = 'Lock'";
const WITHIN: &str = "SELECT COUNT(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'postern-core' AND state = 'idle in transaction'";

#[test]
fn a_frozen_core_holds_nobody_for_long_and_changes_nothing_when_it_wakes() {
    let database = Database::create();
    let (here, there) = (beside(&database), beside(&database));
    let core = here.serve();
    core.json("user add joe --email joe@example.com");
    fs::copy(here.path("master.key"), there.path("master.key")).unwrap();
    let other = there.serve();

    // It waits for a row in the middle of its change, gets it when it is frozen already, and holds it.
    let row = Row::lock(&database);
    let command = here.begin("user disable joe");
    until("it waits for the row", || database.execute(WAITING).unwrap().trim() == "1");
    core.freeze();
    let frozen_at = Instant::now();
    drop(row);
    until("it holds the row", || database.execute(WITHIN).unwrap().trim() == "1");
    let began = Instant::now();
    other.json("user disable joe");
    let took = began.elapsed();
    println!("the other Core waited for {} ms", took.as_millis());
    assert!(took < HELD_MAX, "{took:?}");

    sleep(FROZEN.saturating_sub(frozen_at.elapsed()));
    core.thaw();
    let ended = command.wait_with_output().unwrap();
    assert!(!ended.status.success(), "{ended:?}");
    let disabled = "SELECT COUNT(*) FROM activity WHERE event = 'person_disabled' AND outcome = 'done'";
    assert_eq!(database.execute(disabled).unwrap().trim(), "1");
    core.json("user list");
}

/// Locked by somebody who is no Core, until it is dropped.
struct Row {
    session: Option<PgConnection>,
    runtime: Runtime,
}

impl Row {
    fn lock(database: &Database) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let session = runtime.block_on(async {
            let mut session = PgConnection::connect(&database.url()).await.unwrap();
            let lock = "BEGIN; SELECT id FROM people WHERE login = 'joe' FOR UPDATE";
            sqlx::raw_sql(lock).execute(&mut session).await.unwrap();
            session
        });
        Self { session: Some(session), runtime }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.runtime.block_on(session.close()).unwrap();
        }
    }
}
