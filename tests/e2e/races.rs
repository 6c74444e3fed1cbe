//! What counts once counts once, also when fifty ask for it at the same moment through both Edges.

use std::collections::{BTreeMap, BTreeSet};

use postern_tests::{
    Client, Cluster, Member, Reply, at_once,
    enrollment::{Enrollment, PASSWORD, public_key},
    in_turns,
    mfa::finish_login,
};
use serde_json::Value;

const RUNS: usize = 100;
const AT_ONCE: usize = 50;
/// A device has no more logins under way than this.
const SESSIONS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_shown_fifty_times_at_once_opens_the_location_once() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let members = members(&cluster, RUNS).await;
    let public = cluster.public();
    let mut edges = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for (run, member) in members.iter().enumerate() {
        // Half of them show it in one login, half in as many as there may be.
        let mut sessions = Vec::new();
        for _ in 0..if run % 2 == 0 { 1 } else { SESSIONS } {
            sessions.push(member.device.begin_login(&public).await.expect("client-mfa/start"));
        }
        let code = member.factor.authenticator.code();
        let replies = at_once(AT_ONCE, |number| {
            let (public, code, session) = (public.clone(), code.clone(), sessions[number % sessions.len()].clone());
            async move { finish_login(&public, &session, &code).await.expect("client-mfa/finish") }
        })
        .await
        .expect("all answered");
        let passed = only_success(run, &replies);
        keys.insert(passed["preshared_key"].as_str().expect("a key").to_owned());
        edges.extend(replies.iter().map(|reply| reply.header("x-postern-edge").to_owned()));
    }
    assert_eq!(edges.len(), 2, "both Edges answered: {edges:?}");
    assert_eq!(keys.len(), RUNS, "each login has a key of its own");
    let peers = cluster.cli(&["location", "peers", "Office"]).await.expect("location peers");
    assert_eq!(peers.as_array().map(Vec::len), Some(RUNS), "everybody is in, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_recovery_code_typed_fifty_times_at_once_works_once() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let members = members(&cluster, 1).await;
    let (member, public) = (&members[0], cluster.public());
    for (run, code) in member.factor.recovery_codes.iter().enumerate() {
        let session = member.device.begin_login(&public).await.expect("client-mfa/start");
        let replies = at_once(AT_ONCE, |_| {
            let (public, code, session) = (public.clone(), code.clone(), session.clone());
            async move { finish_login(&public, &session, &code).await.expect("client-mfa/finish") }
        })
        .await
        .expect("all answered");
        only_success(run, &replies);
        // The others were failures in a row.
        cluster.cli(&["user", "unlock", "joe-0"]).await.expect("user unlock");
        let session = member.device.begin_login(&public).await.expect("client-mfa/start");
        let spent = finish_login(&public, &session, code).await.expect("client-mfa/finish");
        assert_eq!(spent.status, 401, "{spent:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_redeemed_fifty_times_at_once_gives_one_session_one_device_and_one_activation() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let public = cluster.public();
    for run in 0..RUNS {
        let login = format!("joe-{run}");
        let token = cluster.invite(&login).await.expect("a person is invited");
        let enrollment = one_session(&public, &token).await;
        one_device(&enrollment).await;
        one_activation(&enrollment, if run == 0 { AT_ONCE } else { 2 }).await;
        let activity = cluster.cli(&["activity", "--limit", "200"]).await.expect("activity");
        let activated = |row: &&Value| row["event"] == "activate_user" && row["actor"] == login && row["detail"] == "";
        assert_eq!(list(&activity).iter().filter(activated).count(), 1, "run {run}: {activity}");
    }
    let devices = cluster.cli(&["device", "list"]).await.expect("device list");
    let owners: BTreeSet<_> = list(&devices).iter().map(|device| device["user"].as_str().expect("a login")).collect();
    assert_eq!((list(&devices).len(), owners.len()), (RUNS, RUNS), "each person has one device");
    let people = cluster.cli(&["user", "list"]).await.expect("user list");
    assert!(list(&people).iter().all(|person| person["enrolled"] == true), "{people}");
}

/// Fifty `start`s: one session.
async fn one_session(public: &Client, token: &str) -> Enrollment {
    let started = at_once(AT_ONCE, |_| {
        let (public, token) = (public.clone(), token.to_owned());
        async move { Enrollment::start(&public, &token).await.expect("start") }
    })
    .await
    .expect("all answered");
    let deadlines: BTreeSet<_> =
        started.iter().map(|enrollment| enrollment.started["deadline_timestamp"].as_i64().expect("a time")).collect();
    assert_eq!(deadlines.len(), 1, "more than one session: {deadlines:?}");
    started.into_iter().next().expect("fifty")
}

/// Fifty times the same key and name: one device.
async fn one_device(enrollment: &Enrollment) {
    let key = public_key().expect("a key");
    let replies = at_once(AT_ONCE, |_| {
        let (enrollment, key) = (enrollment.clone(), key.clone());
        async move { enrollment.create_device("laptop", &key).await.expect("create_device") }
    })
    .await
    .expect("all answered");
    assert_eq!(statuses(&replies), BTreeMap::from([(200, AT_ONCE)]));
    let ids: BTreeSet<_> = replies.iter().map(|reply| reply.json().expect("JSON")["device"]["id"].as_i64()).collect();
    assert_eq!(ids.len(), 1, "more than one device: {ids:?}");
}

/// Each costs a password hash, so among fifty most find Core busy, and come back; a few all get through.
async fn one_activation(enrollment: &Enrollment, at_a_time: usize) {
    let replies = at_once(at_a_time, |_| {
        let enrollment = enrollment.clone();
        async move { enrollment.activate_user(PASSWORD).await.expect("activate_user") }
    })
    .await
    .expect("all answered");
    let busy: &[u16] = if at_a_time == AT_ONCE { &[429, 503, 504] } else { &[] };
    let statuses = statuses(&replies);
    assert!(statuses.contains_key(&200), "{statuses:?}");
    assert!(statuses.keys().all(|status| *status == 200 || busy.contains(status)), "{statuses:?}");
    let again = enrollment.activate_user(PASSWORD).await.expect("activate_user again");
    assert_eq!(again.status, 200, "{again:?}");
}

/// People who can log in, enrolled a few at a time.
async fn members(cluster: &Cluster, count: usize) -> Vec<Member> {
    let mut tokens = Vec::new();
    for number in 0..count {
        tokens.push(cluster.invite(&format!("joe-{number}")).await.expect("a person is invited"));
    }
    let public = cluster.public();
    in_turns(count, 8, |number| {
        let (public, token) = (public.clone(), tokens[number].clone());
        async move { Member::enroll(&public, &token).await.expect("the person enrolls") }
    })
    .await
    .expect("all enrolled")
}

/// The body of the one 200; everybody else is refused and gets no key.
fn only_success(run: usize, replies: &[Reply]) -> Value {
    let statuses = statuses(replies);
    assert_eq!(statuses.get(&200), Some(&1), "run {run}: {statuses:?}");
    assert!(statuses.keys().all(|status| matches!(status, 200 | 400 | 401 | 429)), "run {run}: {statuses:?}");
    let bodies: Vec<_> = replies.iter().map(|reply| reply.json().expect("JSON")).collect();
    let mut passed = bodies.into_iter().filter(|body| !body["preshared_key"].is_null());
    let first = passed.next().expect("the key of the one who passed");
    assert!(passed.next().is_none(), "run {run}: a second key");
    first
}

/// How many answers there were of each status.
fn statuses(replies: &[Reply]) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for reply in replies {
        *statuses.entry(reply.status).or_default() += 1;
    }
    statuses
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}
