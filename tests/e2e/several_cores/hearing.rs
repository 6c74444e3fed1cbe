//! Whether Cores hear of each other's changes, or only look.

use postern_tests::Cluster;

/// How what one Core did reaches another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    /// Cores listen, and are told.
    Told,
    /// The connections on which Cores listen are cut before each change.
    CutOff,
    /// Nothing that is announced leaves: what Cores find, they find by looking.
    Deaf,
}

/// In place of the server's own function, it only counts.
const MUTE: &str = "
    CREATE TABLE muted (channel TEXT);
    CREATE FUNCTION pg_notify(channel TEXT, message TEXT) RETURNS VOID LANGUAGE SQL
        AS 'INSERT INTO public.muted VALUES (channel)';
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
    END $$";
/// New sessions are under the new search path.
const CUT_ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";
const CUT_LISTENING: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND query ILIKE 'LISTEN%'";

impl Hearing {
    pub(super) const ALL: [Self; 3] = [Self::Told, Self::CutOff, Self::Deaf];

    pub(super) async fn begin(self, cluster: &Cluster) {
        let database = cluster.database().expect("a Postgres");
        match self {
            Self::Told | Self::CutOff => {}
            Self::Deaf => {
                database.execute(MUTE).expect("muted");
                database.execute(CUT_ALL).expect("sessions are cut");
                for core in cluster.cores() {
                    let reads = || async { core.commands().json(&["user", "list"]).await.is_ok() };
                    let reads = postern_tests::eventually("new sessions", super::FOLLOWED_WITHIN, reads).await;
                    reads.expect("it connects again");
                }
            }
        }
    }

    /// Right before a change.
    pub(super) async fn before_change(self, cluster: &Cluster) {
        match self {
            Self::Told | Self::Deaf => {}
            Self::CutOff => {
                let cut = || async { listening(cluster, CUT_LISTENING) == 2 };
                postern_tests::eventually("both Cores listen, and are cut off", super::FOLLOWED_WITHIN, cut)
                    .await
                    .expect("they listen again after each cut");
            }
        }
    }

    /// That it was as it was meant to be.
    pub(super) fn end(self, cluster: &Cluster) {
        let database = cluster.database().expect("a Postgres");
        match self {
            Self::Told | Self::CutOff => {}
            Self::Deaf => {
                let muted = database.execute("SELECT COUNT(*) FROM muted").expect("a count");
                assert_ne!(muted.trim(), "0", "nothing was announced, so nothing was shown");
            }
        }
    }
}

fn listening(cluster: &Cluster, query: &str) -> usize {
    let told = cluster.database().expect("a Postgres").execute(query).expect("a count");
    told.trim().parse().expect("a number")
}
