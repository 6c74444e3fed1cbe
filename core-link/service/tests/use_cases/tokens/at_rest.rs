//! What a thief of the database finds: nothing to show to Core, an app or a VPN server.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use crate::{
    authenticator::{base32, code},
    support::{Core, PASSWORD, activate, configured, key, new_device, start},
};

#[tokio::test]
async fn after_an_enrollment_and_a_login_no_secret_is_found_in_any_spelling() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    core.ask_as("start", start(&token)).await.unwrap();
    let polling = configured(core.ask_as("device", new_device(&token, "laptop", &key(1))).await).token.unwrap();
    let (seed, recovery) = core.set_up_factor_with_codes(&token).await;
    core.ask_as("activate", activate(&token, PASSWORD)).await.unwrap();
    let login = core.begin_login(&key(1)).await;
    let shown = code(&seed, core.store.now().as_unix());
    let preshared_key = core.pass_login(&seed, &key(1)).await;
    // Another factor's secrets come and go, and their traces stay in free pages.
    core.try_code(&key(1), &recovery[0]).await.unwrap();

    let mut secrets = vec![
        ("enrollment token", token.into_bytes()),
        ("polling token", polling.into_bytes()),
        ("login token", login.into_bytes()),
        ("code", shown.into_bytes()),
        ("password", PASSWORD.as_bytes().to_vec()),
        ("seed", base32(&seed)),
        ("preshared key", STANDARD.decode(preshared_key).unwrap()),
    ];
    secrets.extend(recovery.into_iter().map(|code| ("recovery code", code.into_bytes())));
    let content = text(&core.at_rest().await);
    for (name, secret) in &secrets {
        for spelling in spellings(secret) {
            assert!(!content.contains(&text(&spelling)), "{name} as {:?}", String::from_utf8_lossy(&spelling));
        }
    }
    assert!(content.contains("laptop"), "the search finds what is in the clear");
}

/// As it is, and in each alphabet that somebody might store it in. Base64 is also looked for at the two other offsets
/// that it can have in a longer text.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut spellings = vec![
        secret.to_vec(),
        STANDARD.encode(secret).into_bytes(),
        URL_SAFE_NO_PAD.encode(secret).into_bytes(),
        to_base32(secret).into_bytes(),
        secret.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(),
        secret.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect(),
    ];
    for skipped in 1..3 {
        let inner = &secret[skipped..secret.len() - (secret.len() - skipped) % 3];
        spellings.extend((inner.len() >= 6).then(|| STANDARD_NO_PAD.encode(inner).into_bytes()));
    }
    spellings
}

fn to_base32(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let digits = bits.as_bytes().chunks_exact(5).map(|digit| u8::from_str_radix(str::from_utf8(digit).unwrap(), 2));
    digits.map(|digit| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(digit.unwrap())])).collect()
}

/// A character for each byte, because texts are searched much faster.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

#[test]
fn both_ways_of_base32_agree() {
    assert_eq!(base32(&to_base32(b"12345678901234567890")), b"12345678901234567890");
}
