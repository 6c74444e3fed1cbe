//! Two Cores end one sign-in: its code goes to the provider once.

use std::time::Duration;

use postern_core::openid::{Limits, Linking};
use postern_tests::{OpenIdProvider, eventually, openid_provider::Misbehaviour, postgres::Database};
use tokio::time::sleep;

use crate::support::{Core, LIMITS, SOON, refused, token};

/// As shipped.
const PATIENT: Limits = Limits { call_max: Duration::from_secs(3), ..LIMITS };
/// By then a Core that does not wait would have asked.
const MOMENT: Duration = Duration::from_millis(500);
/// Longer than a claim lasts.
const CLAIM: i64 = 11;

#[tokio::test]
async fn a_sign_in_that_is_repeated_at_another_core_is_redeemed_once() {
    for server in [None, Some(Database::create())] {
        let provider = OpenIdProvider::start().await.unwrap();
        let here = Core::start_on(server, &provider, (Linking::ByEmail, PATIENT)).await;
        here.knows_provider().await;
        let there = here.beside(&provider, PATIENT).await;
        let visit = here.visit(&provider).await;
        provider.misbehave(Misbehaviour::TokenWaits);
        let repeated = async {
            eventually("the first asks", SOON, || async { provider.asked().tokens == 1 }).await.unwrap();
            let again = there.ask_as("one-and-the-same-operation", visit.callback());
            let answer = async {
                sleep(MOMENT).await;
                assert_eq!(provider.asked().tokens, 1);
                provider.behave();
            };
            tokio::join!(again, answer).0
        };
        let (first, second) = tokio::join!(here.ask_as("one-and-the-same-operation", visit.callback()), repeated);
        assert_eq!(token(first), token(second));
        assert_eq!(provider.asked().tokens, 1);
    }
}

#[tokio::test]
async fn a_core_that_died_within_a_sign_in_does_not_hold_it_for_ever() {
    let provider = OpenIdProvider::start().await.unwrap();
    let here = Core::start_on(Some(Database::create()), &provider, (Linking::ByEmail, PATIENT)).await;
    here.knows_provider().await;
    let there = here.beside(&provider, LIMITS).await;
    let visit = here.visit(&provider).await;
    provider.misbehave(Misbehaviour::TokenWaits);
    tokio::select! {
        _ = here.ask_as("one", visit.callback()) => panic!("nobody has answered it"),
        asked = eventually("it asks", SOON, || async { provider.asked().tokens == 1 }) => drop(asked.unwrap()),
    }
    provider.behave();

    assert_eq!(refused(there.ask_as("one", visit.callback()).await).0, 14, "that Core may still be at it");
    assert_eq!(provider.asked().tokens, 1);
    here.wait(CLAIM);
    there.ask_as("one", visit.callback()).await.ok();
    assert_eq!(provider.asked().tokens, 2, "what the code is worth now, the provider knows");
}
