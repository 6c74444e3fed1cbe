//! A phone's key comes to Core.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postern_core::mail::MailUse;

use super::support::{BIOMETRIC, Phone, register};
use crate::{
    mfa::support::{OFFICE, begin_login_by, end_login, passed},
    support::{Core, PASSWORD, SESSION, activate, assert_refused, key, new_device, refused},
};

#[tokio::test]
async fn a_key_is_registered_in_an_open_session_of_the_devices_owner() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "phone", &key(20))).await.unwrap();
    let phone = Phone::new(&key(20));
    core.ask(register(&token, &phone.public_key(), &phone.device_key)).await.unwrap();
    assert_eq!(core.activity().await.pop().unwrap(), "register_mobile_auth done joe device 1");
    core.ask(register(&token, &phone.public_key(), &phone.device_key)).await.unwrap();
    assert_eq!(core.count("SELECT COUNT(*) FROM phone_keys").await, 1);
}

#[tokio::test]
async fn a_newer_key_takes_the_place_of_the_older_one_in_whichever_session() {
    let (core, _, old) = Core::with_phone().await;
    let token = core.session("joe").await;
    let new = Phone::new(&old.device_key);
    core.ask(register(&token, &new.public_key(), &new.device_key)).await.unwrap();
    let begun = core.begin_signed(BIOMETRIC, &new.device_key).await;
    assert_refused(core.ask(end_login(&begun.token, &old.sign(&begun.challenge))).await, 16, "unauthorized");
    passed(core.ask(end_login(&begun.token, &new.sign(&begun.challenge))).await);
    assert_eq!(core.count("SELECT COUNT(*) FROM phone_keys").await, 1);
}

#[tokio::test]
async fn the_owner_hears_of_each_new_key_by_mail() {
    let core = Core::with_joe().await.with_mail(MailUse::On).await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "phone", &key(20))).await.unwrap();
    let [first, second] = [(); 2].map(|()| Phone::new(&key(20)).public_key());
    for key_shown in [&first, &first, &second] {
        core.ask(register(&token, key_shown, &key(20))).await.unwrap();
    }
    assert_eq!(core.kinds_of_mails().await, ["factor_added", "factor_added"]);
    assert_eq!(core.mailed("factor_added", "factor").await, "phone");
}

#[tokio::test]
async fn only_a_device_of_the_sessions_person_gets_a_key() {
    let (core, joe) = Core::with_member().await;
    core.add_person("eve").await;
    core.add_location_without_mfa("Servers", &["10.20.0.0/24"]).await;
    core.add_host("web", "Servers", Some(key(50))).await.unwrap();
    let token = core.session("eve").await;
    let phone = Phone::new(&key(20));
    let unknown = "Device with given public key doesn't exist";
    for device in [&joe.key, &key(50), &key(99)] {
        assert_refused(core.ask(register(&token, &phone.public_key(), device)).await, 3, unknown);
    }
    core.add_host("db", "Servers", None).await.unwrap();
    let host = core.host_session("files").await;
    assert_refused(core.ask(register(&host, &phone.public_key(), &key(50))).await, 7, "invalid token");
    assert_eq!(core.count("SELECT COUNT(*) FROM phone_keys").await, 0);
}

#[tokio::test]
async fn no_session_no_key() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "phone", &key(20))).await.unwrap();
    let phone = Phone::new(&key(20)).public_key();
    let nobody = "x".repeat(32);
    for (shown, text) in [("", "invalid token"), ("short", "invalid token"), (&nobody, "invalid token")] {
        assert_refused(core.ask(register(shown, &phone, &key(20))).await, 16, text);
    }
    core.wait(SESSION);
    assert_refused(core.ask(register(&token, &phone, &key(20))).await, 16, "Session expired");
    let token = core.session("joe").await;
    core.disable("joe").await;
    assert_refused(core.ask(register(&token, &phone, &key(20))).await, 7, "user is disabled");
}

#[tokio::test]
async fn a_key_under_which_others_could_sign_is_refused() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "phone", &key(20))).await.unwrap();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let right = Phone::new(&key(20)).public_key();
    let unpadded = right.trim_end_matches('=').to_owned();
    let spaced = format!(" {right}");
    let neutral = STANDARD.encode(neutral);
    let (zeros, ones, short) = (key(0), key(255), STANDARD.encode([7; 31]));
    for wrong in [&neutral, &zeros, &ones, &short, &unpadded, &spaced, "", "nonsense"] {
        assert_refused(core.ask(register(&token, wrong, &key(20))).await, 3, "invalid pubkey");
    }
    assert_eq!(core.count("SELECT COUNT(*) FROM phone_keys").await, 0);
}

#[tokio::test]
async fn a_phone_is_a_second_factor_of_its_own() {
    let core = Core::with_joe().await.with_settings(|instance| instance.mfa_required = true).await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "phone", &key(20))).await.unwrap();
    assert_eq!(refused(core.ask(activate(&token, PASSWORD)).await).0, 3);
    let phone = Phone::new(&key(20));
    core.ask(register(&token, &phone.public_key(), &phone.device_key)).await.unwrap();
    let early = core.ask(begin_login_by(BIOMETRIC, OFFICE, &key(20))).await;
    assert_refused(early, 3, "Select MFA method not available for the device.");
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    let begun = core.begin_signed(BIOMETRIC, &key(20)).await;
    passed(core.ask(end_login(&begun.token, &phone.sign(&begun.challenge))).await);
}

#[tokio::test]
async fn a_reset_takes_the_keys_of_phones_as_well() {
    let (core, _, phone) = Core::with_phone().await;
    core.reset_mfa("joe").await;
    assert_eq!(core.count("SELECT COUNT(*) FROM phone_keys").await, 0);
    let refused = core.ask(begin_login_by(BIOMETRIC, OFFICE, &phone.device_key)).await;
    assert_refused(refused, 3, "Select MFA method not available for the device.");
}
