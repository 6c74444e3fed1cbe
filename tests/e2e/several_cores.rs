//! Two Cores on one Postgres, each in the zone of one Edge: what goes through an Edge goes to the Core of its number.

mod approvals;
mod beginning;
mod changes;
mod hearing;
mod losses;
mod mails;
mod migration;
mod operations;
mod revocations;

use std::time::Duration;

use postern_tests::{Client, Cluster, Setup};
use serde_json::json;

/// What is changed at one Core holds at all of them after this.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(2);

async fn two_cores() -> Cluster {
    Cluster::start_with(Setup::several_cores(2)).await.expect("the cluster starts")
}

async fn poll(client: &Client, token: &str) -> u16 {
    client.post("/api/v1/poll", &json!({ "token": token })).await.expect("an answer").status
}
