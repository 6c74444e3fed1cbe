//! A desktop waits at one Core, and its phone says yes at the other.

use postern_tests::clients::{MOBILE_APPROVE, Waiting};

use super::{hearing::Hearing, two_cores};
use crate::clients::{Person, with_a_phone};

#[tokio::test]
async fn an_approval_at_one_core_reaches_a_desktop_that_waits_at_the_other() {
    for hearing in [Hearing::Told, Hearing::Deaf] {
        let cluster = two_cores().await;
        hearing.begin(&cluster).await;
        let Person { mut desktop, instance, .. } = Person::enroll(&cluster, "joe").await;
        let (mut phone, _) = with_a_phone(&cluster, "joe").await;
        let office = instance.location(2).expect("a location").clone();
        let [here, there] = [0, 1].map(|edge| format!("http://{}/", cluster.edges[edge].http));

        let login = desktop.logins(&instance).start(&office, MOBILE_APPROVE).await.expect("client-mfa/start");
        let opened = Waiting::try_open(&here, &login.token).await.expect("an answer");
        let waiting = opened.unwrap_or_else(|refused| panic!("no websocket: {refused:?}"));
        let shown = desktop.logins(&instance).qr_code(&login).expect("a QR code");
        phone.approve(&there, &shown).await.expect("client-mfa/finish-remote");
        waiting.read().await.expect("a key");

        let [one, other] = [&cluster.core, &cluster.beside[0]];
        for (core, waits, approvals) in [(one, 1, 0), (other, 0, 1)] {
            assert_eq!(
                core.answered("await_remote_mfa_finish").await.expect("a number"),
                waits,
                "{hearing:?} {}",
                core.name
            );
            assert_eq!(core.answered("client_mfa_finish").await.expect("a number"), approvals, "{}", core.name);
        }
    }
}
