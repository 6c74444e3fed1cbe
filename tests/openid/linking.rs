//! Whom an identity belongs to.

use futures::future::join_all;
use postern_core::{
    openid::{self, Linking},
    person,
};
use postern_tests::{OpenIdProvider, openid_provider::Account};
use serde_json::{Value, json};

use crate::support::{Core, LIMITS, assert_refused, cli, start, token};

const NOBODY: &str = "nobody here is linked to this identity; ask your administrator for an enrollment token";

#[tokio::test]
async fn once_linked_only_the_subject_counts() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    core.add_person("ada").await;
    token(core.sign_in(&provider).await);
    // Joe's address at the provider is now Ada's address here.
    provider.sign_in_as(Account::new("subject-of-joe", "ada@example.org"));
    let token = token(core.sign_in(&provider).await);
    core.ask(start(&token)).await.unwrap();
    assert_eq!(core.activity().await.last().unwrap(), "enrollment_start done joe");
}

#[tokio::test]
async fn of_first_sign_ins_at_once_each_finds_its_person() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    for _ in 0..20 {
        for reply in join_all((0..8).map(|_| core.sign_in(&provider))).await {
            token(reply);
        }
        let unlink = core.store.write(|tx| Box::pin(async move { openid::unlink(tx, "joe", &cli()).await }));
        unlink.await.unwrap();
    }
}

#[tokio::test]
async fn an_address_that_the_provider_does_not_vouch_for_links_nobody() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    for verified in [json!(false), Value::Null] {
        provider.sign_in_as(Account { email_verified: verified, ..Account::new("s", "joe@example.org") });
        assert_refused(core.sign_in(&provider).await, 7, NOBODY);
    }
    // As text it is not what the specification calls a value of this claim, so the whole token is refused.
    provider.sign_in_as(Account { email_verified: json!("true"), ..Account::new("s", "joe@example.org") });
    let malformed = "OpenID auth error the provider's answer is no token response";
    assert_refused(core.sign_in(&provider).await, 16, malformed);
    provider.sign_in_as(Account { email: None, ..Account::new("s", "") });
    assert_refused(core.sign_in(&provider).await, 7, NOBODY);
}

#[tokio::test]
async fn an_address_is_found_in_any_case() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    provider.sign_in_as(Account::new("s", "Joe@Example.ORG"));
    token(core.sign_in(&provider).await);
}

#[tokio::test]
async fn a_user_name_links_nobody() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    // The provider's user name is "ada" for everybody.
    core.add_person("ada").await;
    provider.sign_in_as(Account::new("s", "nobody@example.org"));
    assert_refused(core.sign_in(&provider).await, 7, NOBODY);
}

#[tokio::test]
async fn a_second_identity_does_not_get_in_beside_the_first() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    token(core.sign_in(&provider).await);
    provider.sign_in_as(Account::new("another-subject", "joe@example.org"));
    let text = "your account here is linked to another identity already";
    assert_refused(core.sign_in(&provider).await, 7, text);
}

#[tokio::test]
async fn a_disabled_person_does_not_sign_in() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    core.disable("joe").await;
    assert_refused(core.sign_in(&provider).await, 7, "user is disabled");
}

#[tokio::test]
async fn an_administrator_links_and_unlinks() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::start(&provider, Linking::ByAdministrator, LIMITS).await;
    core.knows_provider().await;
    assert_refused(core.sign_in(&provider).await, 7, NOBODY);
    let issuer = provider.issuer().to_owned();
    let link = core
        .store
        .write(move |tx| Box::pin(async move { openid::link(tx, "joe", (&issuer, "subject-of-joe"), &cli()).await }));
    link.await.unwrap();
    assert!(core.store.read(|tx| Box::pin(person::list(tx))).await.unwrap()[0].has_openid);
    let opened = token(core.sign_in(&provider).await);
    core.ask(start(&opened)).await.unwrap();
    let unused = token(core.sign_in(&provider).await);
    core.ask(start(&opened)).await.expect("a session that is open goes on");
    let unlink = core.store.write(|tx| Box::pin(async move { openid::unlink(tx, "joe", &cli()).await }));
    unlink.await.unwrap();
    assert_refused(core.sign_in(&provider).await, 7, NOBODY);
    for token in [&opened, &unused] {
        assert!(core.ask(start(token)).await.is_err(), "what the sign-ins gave has ended");
    }
}

#[tokio::test]
async fn an_identity_goes_with_its_person() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    token(core.sign_in(&provider).await);
    let delete = core.store.write(|tx| Box::pin(async move { person::delete(tx, "joe", &cli()).await }));
    delete.await.unwrap();
    assert_refused(core.sign_in(&provider).await, 7, NOBODY);
    // Whoever has the address next is somebody else, and may be linked.
    core.add_person("joe").await;
    token(core.sign_in(&provider).await);
}
