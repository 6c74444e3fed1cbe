//! An operation that is repeated at the other Core while the first still works on it.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
};

use postern_tests::{
    Cluster,
    enrollment::{Enrollment, public_key},
    eventually,
};

use super::{FOLLOWED_WITHIN, two_cores};

const OPERATION: &str = "0123456789abcdef0123456789abcdef";
const WAITING: &str = "SELECT COUNT(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'postern-core' AND wait_event_type = 'Lock'";

/// A session that keeps everybody from changing devices.
struct Blocker(Child);

#[tokio::test]
async fn a_repeat_at_the_other_core_waits_for_the_first_and_gets_its_reply() {
    let cluster = two_cores().await;
    let token = cluster.invite("joe").await.expect("joe");
    let enrollment = Enrollment::start(&cluster.public(), &token).await.expect("start");
    let [first, second] =
        [0, 1].map(|edge| enrollment.through(&cluster.edges[edge].client().with_header("x-operation-id", OPERATION)));
    let key = public_key().expect("a key");

    let mut blocker = Blocker::begin(&cluster);
    let releasing = async {
        waiting(&cluster, 2).await;
        blocker.release();
    };
    let repeating = async {
        waiting(&cluster, 1).await;
        second.create_device("laptop", &key).await.expect("create_device again")
    };
    let (original, repeated, ()) = tokio::join!(first.create_device("laptop", &key), repeating, releasing);
    let original = original.expect("create_device");

    assert_eq!((original.status, repeated.status), (200, 200), "{original:?} {repeated:?}");
    assert_eq!(original.body, repeated.body, "down to the polling token");
    let devices = cluster.cli(&["device", "list"]).await.expect("device list");
    assert_eq!(devices.as_array().map(Vec::len), Some(1), "{devices}");
    for core in cluster.cores() {
        assert_eq!(core.answered("new_device").await.expect("a number"), 1, "{}", core.name);
    }
}

async fn waiting(cluster: &Cluster, sessions: usize) {
    let database = cluster.database().expect("a Postgres");
    eventually(&format!("{sessions} sessions wait"), FOLLOWED_WITHIN, || async {
        database.execute(WAITING).expect("a count").trim() == sessions.to_string()
    })
    .await
    .expect("they wait");
}

impl Blocker {
    fn begin(cluster: &Cluster) -> Self {
        let database = cluster.database().expect("a Postgres");
        let mut psql = Command::new("psql");
        psql.args(["-qAt", "-v", "ON_ERROR_STOP=1", &database.url()]);
        let child = psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("psql");
        let mut blocker = Self(child);
        blocker.say("BEGIN; LOCK TABLE devices IN SHARE ROW EXCLUSIVE MODE;\n");
        let held = "SELECT COUNT(*) FROM pg_locks
            WHERE relation = 'devices'::regclass AND mode = 'ShareRowExclusiveLock' AND granted";
        while database.execute(held).expect("a count").trim() != "1" {}
        blocker
    }

    fn release(&mut self) {
        self.say("COMMIT;\n");
    }

    fn say(&mut self, line: &str) {
        self.0.stdin.as_mut().expect("psql listens").write_all(line.as_bytes()).expect("psql listens");
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}
