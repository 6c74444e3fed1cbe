//! How a session's token is sealed.
//!
//! The value is `base64url(version ‖ key id ‖ nonce ‖ ciphertext ‖ tag)` over `deadline ‖ token`, AES-256-GCM, bound
//! to the cookie's name. The nonce is a MAC of what is sealed, so the same input seals to the same bytes.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use postern_proto::session_key::ID_LENGTH;

use crate::tunnel::push::{KeyId, KeyRing, SessionKey};

const VERSION: u8 = 1;
const HEADER_LENGTH: usize = 1 + ID_LENGTH;
const DEADLINE_LENGTH: usize = size_of::<i64>();

/// What a cookie holds.
pub(super) struct Sealed {
    pub(super) token: String,
    /// Unix seconds.
    pub(super) deadline: i64,
}

/// Seals with the ring's primary key.
pub(super) fn seal(ring: &KeyRing, cookie: &str, token: &str, deadline: i64) -> String {
    let (id, key) = ring.primary();
    let header = header(id);
    let mut sealed = [&deadline.to_be_bytes(), token.as_bytes()].concat();
    let nonce = nonce(key, cookie, &sealed);
    cipher(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(cookie, header), &mut sealed)
        .expect("a token is far shorter than what AES-GCM can seal");
    URL_SAFE_NO_PAD.encode([&header[..], &nonce, &sealed].concat())
}

/// Opens with whichever key of the ring sealed it. `None` for everything that was not sealed under this name.
pub(super) fn open(ring: &KeyRing, cookie: &str, value: &str) -> Option<Sealed> {
    let mut bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
    let (&header, rest) = bytes.split_first_chunk_mut::<HEADER_LENGTH>().map(|(header, rest)| (&*header, rest))?;
    let (&version, id) = header.split_first()?;
    if version != VERSION {
        return None;
    }
    let key = ring.get(KeyId(id.try_into().ok()?))?;
    let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
    let opened = cipher(key).open_in_place(Nonce::assume_unique_for_key(*nonce), aad(cookie, header), sealed).ok()?;
    let (deadline, token) = opened.split_first_chunk::<DEADLINE_LENGTH>()?;
    let token = std::str::from_utf8(token).ok()?.to_owned();
    Some(Sealed { token, deadline: i64::from_be_bytes(*deadline) })
}

fn header(id: KeyId) -> [u8; HEADER_LENGTH] {
    let mut header = [VERSION; HEADER_LENGTH];
    header[1..].copy_from_slice(&id.0);
    header
}

fn aad(cookie: &str, header: [u8; HEADER_LENGTH]) -> Aad<Vec<u8>> {
    Aad::from([cookie.as_bytes(), &[0], &header].concat())
}

fn cipher(key: &SessionKey) -> LessSafeKey {
    let (_, cipher) = halves(key);
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, cipher).expect("half a session key is an AES-256 key"))
}

fn nonce(key: &SessionKey, cookie: &str, plaintext: &[u8]) -> [u8; NONCE_LEN] {
    let (signing, _) = halves(key);
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, signing));
    mac.update(cookie.as_bytes());
    mac.update(&[0]);
    mac.update(plaintext);
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&mac.sign().as_ref()[..NONCE_LEN]);
    nonce
}

fn halves(key: &SessionKey) -> (&[u8], &[u8]) {
    key.as_bytes().split_at(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::{CoreSource, push::SessionKeys};

    const NAME: &str = "defguard_proxy";

    fn ring(first: u8) -> std::sync::Arc<KeyRing> {
        let keys = SessionKeys::default();
        keys.add_key(&CoreSource::Stock, &[first; 64]).unwrap();
        keys.current().unwrap()
    }

    #[test]
    fn what_is_sealed_opens_and_seals_to_the_same_bytes() {
        let value = seal(&ring(7), NAME, "token", 1_767_225_600);
        assert_eq!(value, seal(&ring(7), NAME, "token", 1_767_225_600));
        let opened = open(&ring(7), NAME, &value).unwrap();
        assert_eq!((opened.token.as_str(), opened.deadline), ("token", 1_767_225_600));
    }

    #[test]
    fn other_input_seals_under_another_nonce() {
        let nonce =
            |token, deadline| URL_SAFE_NO_PAD.decode(seal(&ring(7), NAME, token, deadline)).unwrap()[9..21].to_vec();
        assert_ne!(nonce("token", 1), nonce("token", 2));
        assert_ne!(nonce("token", 1), nonce("tokem", 1));
    }

    #[test]
    fn a_cookie_opens_under_its_own_name_and_key_only() {
        let value = seal(&ring(7), NAME, "token", 1);
        assert!(open(&ring(7), "defguard_proxy_password_reset", &value).is_none());
        assert!(open(&ring(8), NAME, &value).is_none());
    }

    #[test]
    fn a_cookie_with_any_bit_changed_or_any_byte_missing_does_not_open() {
        let ring = ring(7);
        let sealed = URL_SAFE_NO_PAD.decode(seal(&ring, NAME, "token", 1)).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&ring, NAME, &URL_SAFE_NO_PAD.encode(changed)).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&ring, NAME, &URL_SAFE_NO_PAD.encode(&sealed[..length])).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn what_nobody_sealed_does_not_open_however_it_begins() {
        let ring = ring(7);
        let (id, _) = ring.primary();
        let good = URL_SAFE_NO_PAD.decode(seal(&ring, NAME, "token", 1)).unwrap();
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..rand::random_range(0..200)).map(|_| rand::random()).collect();
            // A right header, then a right nonce as well, so that each part is what has to refuse it.
            let right = [0, HEADER_LENGTH, HEADER_LENGTH + NONCE_LEN, good.len() - 1][rand::random_range(0..4)];
            bytes.splice(0..right.min(bytes.len()), good[..right].iter().copied());
            if bytes != good {
                assert!(open(&ring, NAME, &URL_SAFE_NO_PAD.encode(&bytes)).is_none(), "{bytes:?}");
            }
        }
        let unknown = [&[VERSION][..], &[!id.0[0]], &good[2..]].concat();
        let newer = [&[VERSION + 1][..], &good[1..]].concat();
        for other in [unknown, newer] {
            assert!(open(&ring, NAME, &URL_SAFE_NO_PAD.encode(other)).is_none());
        }
    }

    #[test]
    fn text_that_is_no_base64_of_a_cookie_does_not_open() {
        let ring = ring(7);
        let good = seal(&ring, NAME, "token", 1);
        for value in ["", "=", "%41", "\u{fe0f}", &format!("{good}="), &format!("{good}A"), &good.replace('A', "+")] {
            assert!(value == good || open(&ring, NAME, value).is_none(), "{value}");
        }
    }

    #[test]
    fn the_nonce_does_not_move_between_name_and_text() {
        let key = ring(7);
        let (_, key) = key.primary();
        assert_ne!(nonce(key, "ab", b"c"), nonce(key, "a", b"bc"));
    }
}
