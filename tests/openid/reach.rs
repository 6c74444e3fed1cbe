//! A provider that is slow, down or changes its keys is nobody's trouble but that of those who sign in there.

use std::time::{Duration, Instant};

use postern_core::openid::{Limits, Linking};
use postern_proto::{
    client_types::{AuthFlowType, InstanceInfoRequest},
    proxy::core_request::Payload,
};
use postern_tests::{OpenIdProvider, eventually, openid_provider::Misbehaviour};

use crate::support::{Core, LIMITS, SOON, assert_refused, auth_info, refused, token};

const UNREACHABLE: &str = "the OpenID provider cannot be reached; try again";

#[tokio::test]
async fn nothing_is_believed_of_a_provider_that_describes_itself_wrongly() {
    for misbehaviour in Misbehaviour::OF_METADATA {
        let provider = OpenIdProvider::start().await.unwrap();
        provider.misbehave(misbehaviour);
        let core = Core::start(&provider, Linking::ByEmail, LIMITS).await;
        // The second look begins when the first has failed.
        eventually("the provider was looked at", SOON, || async { provider.asked().metadata > 1 }).await.unwrap();
        assert_refused(core.ask(auth_info(AuthFlowType::Enrollment, None)).await, 14, UNREACHABLE);
        provider.behave();
        core.knows_provider().await;
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_told_of_at_once() {
    let provider = OpenIdProvider::start().await.unwrap();
    provider.go_down();
    let core = Core::start(&provider, Linking::ByEmail, LIMITS).await;
    let begun = Instant::now();
    assert_refused(core.ask(auth_info(AuthFlowType::Enrollment, None)).await, 14, UNREACHABLE);
    assert!(begun.elapsed() < LIMITS.call_max, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_is_known_of_a_provider_ages() {
    let provider = OpenIdProvider::start().await.unwrap();
    let limits = Limits { age_max: Duration::ZERO, ..LIMITS };
    let core = Core::start(&provider, Linking::ByEmail, limits).await;
    eventually("the provider was looked at", SOON, || async { provider.asked().keys > 0 }).await.unwrap();
    assert_refused(core.ask(auth_info(AuthFlowType::Enrollment, None)).await, 14, UNREACHABLE);
}

#[tokio::test]
async fn new_keys_of_the_provider_are_fetched_when_they_are_met() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    provider.rotate_keys();
    token(core.sign_in(&provider).await);
    assert_eq!(provider.asked().keys, 2);
}

#[tokio::test]
async fn unknown_keys_do_not_make_core_ask_without_end() {
    let provider = OpenIdProvider::start().await.unwrap();
    let limits = Limits { refresh_min: Duration::from_mins(1), ..LIMITS };
    let core = Core::start(&provider, Linking::ByEmail, limits).await;
    core.knows_provider().await;
    provider.misbehave(Misbehaviour::UnknownKeyId);
    for _ in 0..10 {
        let (code, _) = refused(core.sign_in(&provider).await);
        assert_eq!(code, 16);
    }
    assert_eq!(provider.asked().keys, 1);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_holds_nobody_else() {
    let provider = OpenIdProvider::start().await.unwrap();
    let limits = Limits { call_max: Duration::from_secs(3), ..LIMITS };
    let core = Core::start(&provider, Linking::ByEmail, limits).await;
    core.knows_provider().await;
    let mut visits = Vec::new();
    for _ in 0..33 {
        visits.push(core.visit(&provider).await);
    }
    provider.misbehave(Misbehaviour::TokenWaits);
    let before = provider.asked().tokens;
    let waiting = futures::future::join_all(visits[..32].iter().map(|visit| core.ask(visit.callback())));
    let others = async {
        eventually("all places are taken", SOON, || async { provider.asked().tokens == before + 32 }).await.unwrap();
        // One more is turned away at once, and whoever wants something else is served.
        assert_eq!(refused(core.ask(visits[32].callback()).await).0, 8);
        let poll = Payload::InstanceInfo(InstanceInfoRequest { token: "t".repeat(32) });
        assert_refused(core.ask(poll).await, 7, "invalid token");
        core.ask(auth_info(AuthFlowType::Enrollment, None)).await.unwrap();
        provider.behave();
    };
    let (replies, ()) = tokio::join!(waiting, others);
    // They all go on at the same moment: a slow machine writes some down and sheds the others.
    let (ended, shed): (Vec<_>, Vec<_>) = replies.into_iter().partition(Result::is_ok);
    assert!(!ended.is_empty(), "{shed:?}");
    for reply in shed {
        assert_refused(reply, 8, "too many requests; try again");
    }
}
