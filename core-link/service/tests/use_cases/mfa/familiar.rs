//! Strangers who know a device's public key, and the person whose it is.

use super::support::{AWAY, HOME, Member, STEP, end_login, passed};
use crate::support::{Core, DAY, configured, existing_device, poll};

const HOTEL: &str = "192.0.2.44";

/// Somebody elsewhere guesses for a day, as often as they are let.
async fn attack_for_a_day(core: &Core, joe: &Member) {
    let end = core.unix() + DAY;
    while core.unix() < end {
        core.guess_from(AWAY, joe).await;
        core.wait(600);
    }
}

async fn is_put_off(core: &Core, ip: &str, joe: &Member) -> bool {
    let token = core.begin_from(ip, &joe.key).await;
    match core.ask_from(ip, end_login(&token, &core.code(&joe.seed))).await {
        Ok(_) => false,
        Err(rejection) => rejection.code as i32 == 8,
    }
}

#[tokio::test]
async fn after_a_day_of_attack_the_owner_gets_in_from_where_they_were_before() {
    let (core, joe) = Core::with_member().await;
    attack_for_a_day(&core, &joe).await;
    let core = core.restart().await;
    passed(core.show_from(HOME, &joe, &core.code(&joe.seed)).await);
}

#[tokio::test]
async fn after_a_day_of_attack_the_owner_gets_in_from_where_their_client_polls() {
    let (core, joe) = Core::with_member().await;
    attack_for_a_day(&core, &joe).await;
    assert!(is_put_off(&core, HOTEL, &joe).await);
    core.ask_from(HOTEL, poll(&joe.polling_token)).await.unwrap();
    core.wait(599);
    passed(core.show_from(HOTEL, &joe, &core.code(&joe.seed)).await);
    core.wait(DAY);
    passed(core.show_from(HOTEL, &joe, &core.code(&joe.seed)).await);
}

#[tokio::test]
async fn a_poll_is_worth_ten_minutes_and_only_there_and_for_its_person() {
    let (core, joe) = Core::with_member().await;
    core.guess_from(AWAY, &joe).await;
    core.wait(1);
    core.ask_from(HOTEL, poll(&"x".repeat(32))).await.unwrap_err();
    assert!(is_put_off(&core, HOTEL, &joe).await, "a poll that was refused shows nothing");
    core.add_person("ann").await;
    let token = core.session("ann").await;
    let of_ann = configured(core.ask(crate::support::new_device(&token, "phone", &crate::support::key(7))).await);
    core.ask_from(HOTEL, poll(&of_ann.token.unwrap())).await.unwrap();
    assert!(is_put_off(&core, HOTEL, &joe).await, "a poll of somebody else shows nothing of joe");
    core.ask_from(HOTEL, poll(&joe.polling_token)).await.unwrap();
    assert!(is_put_off(&core, "192.0.2.45", &joe).await);
}

#[tokio::test]
async fn a_poll_that_is_ten_minutes_old_counts_no_more() {
    let (core, joe) = Core::with_member().await;
    core.ask_from(HOTEL, poll(&joe.polling_token)).await.unwrap();
    core.wait(600);
    core.guess_from(AWAY, &joe).await;
    assert!(is_put_off(&core, HOTEL, &joe).await);
}

#[tokio::test]
async fn whoever_passed_is_not_locked_there_by_failures_from_before() {
    let (core, joe) = Core::with_member().await;
    for _ in 0..20 {
        core.ask_from(HOTEL, poll(&joe.polling_token)).await.unwrap();
        core.guess_from(HOTEL, &joe).await;
        core.wait(3600);
    }
    passed(core.show_from(HOTEL, &joe, &core.code(&joe.seed)).await);
    core.wait(STEP);
    passed(core.show_from(HOTEL, &joe, &core.code(&joe.seed)).await);
}

#[tokio::test]
async fn the_neighbour_in_one_v6_network_is_no_stranger() {
    let (core, joe) = Core::with_member().await;
    passed(core.show_from("2001:db8:7:1::5", &joe, &core.code(&joe.seed)).await);
    core.guess_from(AWAY, &joe).await;
    core.wait(1);
    assert!(is_put_off(&core, "2001:db8:7:2::5", &joe).await);
    core.wait(STEP - 1);
    core.guess_from(AWAY, &joe).await;
    core.wait(1);
    passed(core.show_from("2001:db8:7:1:ffff::9", &joe, &core.code(&joe.seed)).await);
}

#[tokio::test]
async fn a_start_or_a_wrong_code_makes_nobody_familiar() {
    let (core, joe) = Core::with_member().await;
    core.guess_from(AWAY, &joe).await;
    assert_eq!(core.count("SELECT COUNT(*) FROM familiar_networks").await, 1);
    assert_eq!(core.count("SELECT familiar_failures FROM authenticators").await, 0);
}

#[tokio::test]
async fn a_person_keeps_the_newest_thirty_two_networks() {
    let (core, joe) = Core::with_member().await;
    for number in 0..40 {
        core.wait(STEP);
        passed(core.show_from(&format!("192.0.2.{number}"), &joe, &core.code(&joe.seed)).await);
    }
    assert_eq!(core.count("SELECT COUNT(*) FROM familiar_networks").await, 32);
    assert_eq!(core.count("SELECT COUNT(*) FROM familiar_networks WHERE network = '192.0.2.39'").await, 1);
    assert_eq!(core.count("SELECT COUNT(*) FROM familiar_networks WHERE network = '203.0.113.9'").await, 0);
}

#[tokio::test]
async fn a_stored_network_is_familiar_for_ninety_days() {
    let (core, joe) = Core::with_member().await;
    core.guess_from(AWAY, &joe).await;
    core.wait(90 * DAY - STEP - 1);
    core.guess_from(AWAY, &joe).await;
    passed(core.show_from(HOME, &joe, &core.code(&joe.seed)).await);
    core.wait(90 * DAY);
    core.guess_from(AWAY, &joe).await;
    assert!(is_put_off(&core, HOME, &joe).await);
}

#[tokio::test]
async fn polls_write_nothing() {
    let (core, joe) = Core::with_member().await;
    let mut watcher = core.watcher().await;
    let before = watcher.look().await;
    for number in 0..200 {
        core.ask_from(&format!("192.0.2.{number}"), poll(&joe.polling_token)).await.unwrap();
    }
    assert_eq!(watcher.look().await, before);
    let token = core.session("joe").await;
    core.ask(existing_device(&token, &joe.key)).await.unwrap();
    assert_ne!(watcher.look().await, before, "a change is seen this way");
}
