//! Guessing codes leads nowhere, and keeps nobody out who has been here before.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use postern_tests::{Client, Cluster, Member, Reply, eventually, in_turns, mfa::finish_login};

use crate::cluster_with_a_member;

const GUESSES: usize = 10_000;
const ADDRESSES: usize = 1_000;
const AT_A_TIME: usize = 32;
/// A new login is begun after so many guesses, as an attacker would to start over.
const GUESSES_PER_LOGIN: usize = 500;
/// However many try from wherever: so many codes of one person are looked at in a row.
const LOOKED_AT_MAX: usize = 100;
const FREE_FAILURES: usize = 5;
/// What strangers may cause in the record of activity.
const ROWS_PER_SECOND: usize = 5;

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const HOTEL: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_guesses_from_a_thousand_addresses_hardly_any_is_looked_at() {
    let (cluster, joe) = cluster_with_a_member().await;
    let public = cluster.public();
    let begun = Instant::now();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for round in 0..GUESSES / GUESSES_PER_LOGIN {
        let session = joe.device.begin_login(&public.clone().from_address(STRANGER)).await.expect("a new start");
        let guess = joe.factor.authenticator.wrong_code();
        let replies = in_turns(GUESSES_PER_LOGIN, AT_A_TIME, |number| {
            let client = public.clone().from_address(address(round * GUESSES_PER_LOGIN + number));
            let (session, guess) = (session.clone(), guess.clone());
            async move { finish_login(&client, &session, &guess).await.expect("an answer") }
        })
        .await
        .expect("all answered");
        for reply in &replies {
            assert_refused(reply);
            *statuses.entry(reply.status).or_default() += 1;
        }
    }
    let took = begun.elapsed();
    eprintln!("{GUESSES} guesses in {took:?}: {statuses:?}");
    let looked_at = statuses.get(&401).copied().unwrap_or_default();
    assert!((FREE_FAILURES..=LOOKED_AT_MAX).contains(&looked_at), "{statuses:?}");
    assert!(took < Duration::from_secs(60), "{took:?}");

    assert_recorded(&cluster, looked_at, took).await;

    // From where they come even the right code is not looked at, until an admin says so.
    let from_elsewhere = public.clone().from_address(STRANGER);
    let session = throttled(&from_elsewhere, &joe).await;
    let code = joe.factor.authenticator.code();
    let refused = finish_login(&from_elsewhere, &session, &code).await.expect("client-mfa/finish");
    assert_eq!(refused.status, 429, "{refused:?}");
    cluster.cli(&["user", "unlock", "joe"]).await.expect("user unlock");
    let passed = finish_login(&from_elsewhere, &session, &code).await.expect("client-mfa/finish");
    assert_eq!(passed.status, 200, "{passed:?}");
}

#[tokio::test]
async fn a_recovery_code_gets_its_owner_past_whoever_guesses_from_the_same_address() {
    let (cluster, joe) = cluster_with_a_member().await;
    let clients = [cluster.public(), cluster.public().from_address(STRANGER)];
    for (client, recovery_code) in clients.into_iter().zip(&joe.factor.recovery_codes) {
        let session = throttled(&client, &joe).await;
        let refused = finish_login(&client, &session, &joe.factor.authenticator.code()).await.expect("an answer");
        assert_eq!(refused.status, 429, "{refused:?}");
        let passed = finish_login(&client, &session, recovery_code).await.expect("an answer");
        assert_eq!(passed.status, 200, "{passed:?}");
    }
}

#[tokio::test]
async fn a_stranger_who_burns_all_attempts_does_not_keep_the_owner_out() {
    let (cluster, joe) = cluster_with_a_member().await;
    burn(&cluster.public().from_address(STRANGER), &joe).await;
    let passed = joe.log_in(&cluster.public()).await.expect("the owner logs in");
    assert_eq!(passed.status, 200, "{passed:?}");
}

#[tokio::test]
async fn the_owner_in_a_hotel_is_known_there_as_soon_as_the_app_has_polled() {
    let (cluster, joe) = cluster_with_a_member().await;
    burn(&cluster.public().from_address(STRANGER), &joe).await;
    let hotel = cluster.public().from_address(HOTEL);
    let unknown = joe.log_in(&hotel).await.expect("client-mfa/finish");
    assert_eq!(unknown.status, 429, "{unknown:?}");

    assert_eq!(joe.device.poll(&hotel).await.expect("poll").status, 200);
    let passed = joe.log_in(&hotel).await.expect("the owner logs in");
    assert_eq!(passed.status, 200, "{passed:?}");
}

#[tokio::test]
async fn neither_another_edge_nor_a_new_start_nor_a_restart_of_core_forgets_the_failures() {
    let (mut cluster, joe) = cluster_with_a_member().await;
    burn(&cluster.public().from_address(STRANGER), &joe).await;
    cluster.restart_core().await.expect("core is back");
    for edge in &cluster.edges {
        let client = edge.client().with_header("x-forwarded-for", &STRANGER.to_string());
        let refused = joe.log_in(&client).await.expect("client-mfa/finish");
        assert_eq!(refused.status, 429, "{refused:?}");
    }
}

/// Each code that was looked at has its row; the others do not decide how fast the database grows.
async fn assert_recorded(cluster: &Cluster, looked_at: usize, took: Duration) {
    let activity = cluster.cli(&["activity", "--limit", "10000"]).await.expect("activity");
    let logins: Vec<_> =
        activity.as_array().expect("a list").iter().filter(|row| row["event"] == "client_mfa_finish").collect();
    let wrong = logins.iter().filter(|row| row["detail"] == "wrong code");
    assert_eq!(wrong.count(), looked_at, "{activity}");
    let seconds = usize::try_from(took.as_secs()).expect("a minute") + 2;
    assert!(logins.len() <= looked_at + seconds * ROWS_PER_SECOND, "{} rows in {took:?}", logins.len());
}

/// Wrong codes until they are not looked at any more.
async fn burn(client: &Client, person: &Member) {
    let session = person.device.begin_login(client).await.expect("client-mfa/start");
    for number in 0..FREE_FAILURES + 3 {
        let guess = person.factor.authenticator.wrong_code();
        let refused = finish_login(client, &session, &guess).await.expect("client-mfa/finish");
        assert_refused(&refused);
        let expected = if number < FREE_FAILURES { 401 } else { 429 };
        assert_eq!(refused.status, expected, "guess {number}: {refused:?}");
    }
}

/// A login whose codes are not looked at for the next seconds.
async fn throttled(client: &Client, person: &Member) -> String {
    let session = person.device.begin_login(client).await.expect("client-mfa/start");
    let guess = person.factor.authenticator.wrong_code();
    eventually("nobody looks at codes for a while", Duration::from_secs(60), || async {
        let refused = finish_login(client, &session, &guess).await.expect("client-mfa/finish");
        refused.header("retry-after").parse().is_ok_and(|seconds: u64| seconds >= 10)
    })
    .await
    .expect("a delay");
    session
}

/// A wrong code, or one that was not looked at: then with the time after which it is worth trying again.
fn assert_refused(reply: &Reply) {
    let body = reply.json().expect("JSON");
    if reply.status == 401 {
        assert_eq!(body["error"], "unauthorized", "{reply:?}");
    } else {
        assert_eq!((reply.status, &body["code"]), (429, &"too_many_attempts".into()), "{reply:?}");
        let wait: u64 = reply.header("retry-after").parse().expect("Retry-After in seconds");
        assert!((1..=3_600).contains(&wait), "{reply:?}");
        assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()), "{reply:?}");
    }
}

fn address(guess: usize) -> Ipv4Addr {
    let number = guess % ADDRESSES;
    Ipv4Addr::new(127, 1, (number / 250) as u8, (number % 250 + 1) as u8)
}
