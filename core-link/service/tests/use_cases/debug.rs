//! What `Debug` shows of values that hold a secret: never the secret, in no spelling that `Debug` has for it.

use std::{fmt::Debug, fs, sync::Arc};

use postern_core::{
    activity::{Attempt, Origin},
    authority::Authority,
    clock::Timestamp,
    control::{Answer, Enrollment, HostInvited, PeersConfig},
    dispatch::greeting,
    enrollment::{self, Activation, RequiredSteps},
    instance, location,
    mail::Message,
    mfa::{Code, Seed, Whereabouts, login::ShownLogin, setup},
    password::Password,
    password_reset::Choice,
    sealing::MasterKey,
    secret::Secret,
    session_keys,
    store::{Operation, StoreError},
    token::Token,
};
use time::OffsetDateTime;

use crate::{
    mfa::support::{OFFICE, begin_login, login_token, passed},
    support::{Core, cli, start},
};

const CANARY: &str = "CANARYcanary0123456789CANARYcana";

#[test]
fn what_somebody_shows_is_not_shown() {
    let token = Token::parse(CANARY.to_owned()).unwrap();
    assert_hidden(&token, CANARY.as_bytes());
    assert_hidden(&Password::new(CANARY.to_owned()), CANARY.as_bytes());
    assert_hidden(&Code::new(CANARY[..16].to_owned()), &CANARY.as_bytes()[..16]);
    assert_hidden(&Code::new("271828".to_owned()), b"271828");
    let operation = Operation { id: CANARY.to_owned(), kind: "new_device", payload: CANARY.as_bytes().to_vec() };
    assert_hidden(&operation, CANARY.as_bytes());
    let secret = Secret::new(CANARY.to_owned());
    assert_hidden(&secret, CANARY.as_bytes());
    assert_hidden(&Message::PasswordReset { token: secret, valid_until: Timestamp::from_unix(0) }, CANARY.as_bytes());
    let choice = Choice { token: token.clone(), password: Password::new(CANARY.to_owned()), context: Vec::new() };
    assert_hidden(&choice, CANARY.as_bytes());
    let activation = Activation {
        token,
        password: Password::new(CANARY.to_owned()),
        phone: Ok(None),
        context: Vec::new(),
        required: RequiredSteps { factor: false, device: false },
    };
    assert_hidden(&activation, CANARY.as_bytes());
}

#[tokio::test]
async fn what_core_makes_is_not_shown() {
    let seed = Seed::random();
    assert_hidden(&seed, seed.to_base32().as_bytes());
    assert_hidden(&seed, &crate::authenticator::base32(&seed.to_base32()));
    let kept = Authority::create("Acme", OffsetDateTime::UNIX_EPOCH).unwrap();
    assert_hidden(&kept, &kept.key);
    assert_hidden(&Authority::load(&kept).unwrap(), &kept.key);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKey::create(&path).unwrap();
    assert_hidden(&MasterKey::load(&path).unwrap(), &fs::read(path).unwrap());

    let core = Core::with_joe().await;
    let ring = session_keys::ring(&core.store).await.unwrap();
    assert_hidden(&ring, ring.primary.key.as_slice());
    assert_hidden(&greeting(&ring).unwrap(), ring.primary.key.as_slice());
    let digest = Token::random().digest(core.store.sealer());
    assert_hidden(&digest, digest.as_bytes());
    let master_key = fs::read(core.folder().join("master.key")).unwrap();
    for part in [&core.store as &dyn Debug, core.store.sealer(), &core.dispatcher] {
        assert_hidden(part, &master_key);
    }
}

#[tokio::test]
async fn what_use_cases_hand_over_is_not_shown() {
    let core = Core::with_joe().await;
    let invite = core.store.write(|tx| Box::pin(async move { enrollment::invite(tx, "joe", &cli()).await }));
    let invitation = invite.await.unwrap();
    assert_hidden(&invitation, invitation.token.expose().as_bytes());
    core.ask(start(invitation.token.expose())).await.unwrap();
    let token = invitation.token.clone();
    let begun = core.store.write(move |tx| Box::pin(async move { setup::start(tx, &token, &mut attempt()).await }));
    let seed = begun.await.unwrap();
    assert_hidden(&seed, seed.to_base32().as_bytes());

    let (core, joe) = Core::with_member().await;
    let key = passed(core.show(&joe, &core.code(&joe.seed)).await);
    let peers = core.store.read(|tx| Box::pin(location::peers(tx, "Office"))).await.unwrap();
    assert_eq!(peers.peers.len(), 1);
    assert_hidden(&peers, key.as_bytes());
    let text = peers.wg_syncconf().to_string();
    assert!(text.contains(&key));
    assert_hidden(&Answer::PeersConfig(PeersConfig { config: text }), key.as_bytes());
    let login = login_token(core.ask(begin_login(OFFICE, &joe.key)).await);
    let instance = core.store.write::<_, StoreError, _>(|tx| Box::pin(instance::ensure(tx))).await.unwrap();
    let shown = ShownLogin {
        token: Token::parse(login.clone()).unwrap(),
        code: Code::new("271828".to_owned()),
        phone_key: None,
        instance,
        whereabouts: Whereabouts { network: None, polls: Arc::default() },
    };
    assert_hidden(&shown, login.as_bytes());
    assert_hidden(&shown, b"271828");
}

#[test]
fn answers_to_commands_show_no_token() {
    let (name, expires_at, url) = ("joe".to_owned(), String::new(), String::new());
    let enrollment =
        Enrollment { login: name.clone(), token: CANARY.to_owned(), expires_at: expires_at.clone(), url: url.clone() };
    assert_hidden(&Answer::Enrollment(enrollment), CANARY.as_bytes());
    let host = HostInvited { id: 1, location: name.clone(), name, token: CANARY.to_owned(), expires_at, url };
    assert_hidden(&Answer::HostInvited(host), CANARY.as_bytes());
}

#[test]
#[should_panic(expected = "[7, 7, 7")]
fn the_search_finds_what_is_shown() {
    assert_hidden(&[7_u8; 32], &[7; 32]);
}

fn attempt() -> Attempt {
    Attempt::new("code_mfa_setup_start", Origin::edge(1, None))
}

#[track_caller]
fn assert_hidden(value: &(impl Debug + ?Sized), secret: &[u8]) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        let numbers: Vec<String> = secret.iter().map(u8::to_string).collect();
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let spellings = [
            String::from_utf8_lossy(secret).into_owned(),
            String::from_utf8_lossy(secret).escape_debug().to_string(),
            numbers.join(", "),
            hex.to_uppercase(),
            hex,
        ];
        // Laid out over many lines, a list has one number each.
        let joined: String = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for spelling in spellings {
            assert!(!shown.contains(&spelling) && !joined.contains(&spelling), "{shown}");
        }
    }
}
