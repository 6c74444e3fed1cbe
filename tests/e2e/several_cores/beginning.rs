//! Cores that make the first start of a database at the same moment, and what each of them says afterwards.

use postern_tests::{Cluster, Cores, Setup, enrollment::enroll};
use serde_json::Value;

use super::two_cores;

#[tokio::test]
async fn five_cores_that_begin_at_once_are_one_installation() {
    let setup = Setup { cores: Cores::OnPostgres(5), edges: 1, ..Setup::default() };
    let cluster = Cluster::start_with(setup).await.expect("the cluster starts");
    let told = |field: &str| -> Vec<String> {
        let of = |log: String| {
            let line = log.lines().find(|line| line.contains("core is ready")).expect("it is ready").to_owned();
            line.split(field).nth(1).expect("told").split(' ').next().expect("a value").to_owned()
        };
        cluster.cores().map(|core| of(core.log())).collect()
    };
    let authorities = told("ca_sha256=");
    assert!(authorities.iter().all(|authority| *authority == authorities[0]), "{authorities:?}");
    let mut instances = told("instance=");
    instances.sort();
    instances.dedup();
    assert_eq!(instances.len(), 5, "each process is told apart");
    let rows = "SELECT (SELECT COUNT(*) FROM instance), (SELECT COUNT(*) FROM authority), COUNT(*) FROM session_keys";
    assert_eq!(cluster.database().expect("a Postgres").execute(rows).expect("counts").trim(), "1|1|1");
    let token = cluster.invite("joe").await.expect("joe");
    enroll(&cluster.public(), &token).await.expect("joe enrolls");
}

#[tokio::test]
async fn commands_say_the_same_at_each_core() {
    let cluster = two_cores().await;
    let there = cluster.beside[0].commands();
    let joe = there.invite("joe").await.expect("joe");
    enroll(&cluster.public(), &joe).await.expect("joe enrolls");
    there.add_location("Other", 79, "disabled").await.expect("location add");
    cluster.invite("ann").await.expect("ann");
    cluster.cli(&["user", "disable", "ann"]).await.expect("user disable");
    for command in [
        &["user", "list"][..],
        &["device", "list"],
        &["location", "list"],
        &["location", "peers", "Other"],
        &["activity", "--limit", "100"],
    ] {
        let (one, other) = (cluster.cli(command).await.expect("here"), there.json(command).await.expect("there"));
        assert_eq!(one, other, "{command:?}");
        assert!(one.as_array().is_some_and(|rows| !rows.is_empty()), "{command:?} says nothing: {one}");
    }
    let names =
        |list: &Value| list.as_array().map(|rows| rows.iter().map(|row| row["name"].clone()).collect::<Vec<_>>());
    let (one, other) = (cluster.cli(&["edge", "list"]).await, there.json(&["edge", "list"]).await);
    assert_eq!(names(&one.expect("here")), names(&other.expect("there")));
}
