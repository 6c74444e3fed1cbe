//! How long each token and each authorisation lasts, to the second.

use postern_core::location;
use postern_core_link::Reply;
use postern_proto::{client_types::ClientMfaFinishRequest, proxy::core_request::Payload};

use crate::{
    authenticator::code,
    support::{AUTHORISATION, Core, DAY, PASSWORD, SESSION, activate, assert_refused, key, new_device, start},
};

const LOGIN: i64 = 300;
/// A second before the end, the end, a second after it.
const AROUND: [(i64, bool); 3] = [(-1, true), (0, false), (1, false)];

#[tokio::test]
async fn an_enrollment_token_lasts_a_day() {
    for (offset, is_good) in AROUND {
        let core = Core::with_joe().await;
        let token = core.invite("joe").await;
        core.wait(DAY + offset);
        assert_ends(core.ask(start(&token)).await, is_good, 16, "token expired");
    }
}

#[tokio::test]
async fn an_enrollment_session_lasts_ten_minutes() {
    for (offset, is_good) in AROUND {
        let core = Core::with_joe().await;
        let token = core.session("joe").await;
        core.wait(SESSION + offset);
        assert_ends(core.ask(new_device(&token, "laptop", &key(1))).await, is_good, 16, "Session expired");
    }
}

#[tokio::test]
async fn a_login_under_way_lasts_five_minutes() {
    for (offset, is_good) in AROUND {
        let (core, seed) = enrolled().await;
        let token = core.begin_login(&key(1)).await;
        core.wait(LOGIN + offset);
        let code = Some(code(&seed, core.store.now().as_unix()));
        let finish = Payload::ClientMfaFinish(ClientMfaFinishRequest { token, code, auth_pub_key: None });
        assert_ends(core.ask(finish).await, is_good, 3, "invalid token");
    }
}

#[tokio::test]
async fn an_authorisation_lasts_as_long_as_the_setting_says() {
    for (offset, is_good) in AROUND {
        let (core, seed) = enrolled().await;
        core.pass_login(&seed, &key(1)).await;
        core.wait(i64::try_from(AUTHORISATION).unwrap() + offset);
        let peers = core.store.read(|tx| Box::pin(location::peers(tx, "Office"))).await.unwrap().peers;
        assert_eq!(peers.len(), usize::from(is_good), "{offset} s");
    }
}

async fn enrolled() -> (Core, String) {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "laptop", &key(1))).await.unwrap();
    let seed = core.set_up_factor(&token).await;
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    (core, seed)
}

#[track_caller]
fn assert_ends(reply: Reply, is_good: bool, code: i32, text: &str) {
    if is_good {
        reply.unwrap();
    } else {
        assert_refused(reply, code, text);
    }
}
