//! An authenticator app, written from RFC 6238 and not with the library that Core uses.

use aws_lc_rs::hmac;

pub(crate) const STEP: i64 = 30;

/// The six digits that an app shows for this seed at this moment.
pub(crate) fn code(seed: &str, at: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &base32(seed));
    let tag = hmac::sign(&key, &(at / STEP).to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 0xf);
    let part: [u8; 4] = tag[offset..offset + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(part) & 0x7fff_ffff) % 1_000_000)
}

/// What an app reads out of the text that a person typed.
pub(crate) fn base32(text: &str) -> Vec<u8> {
    let digit = |byte| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == byte).unwrap();
    let bits: String = text.bytes().map(|byte| format!("{:05b}", digit(byte))).collect();
    let bytes = bits.as_bytes().chunks_exact(8);
    bytes.map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}

#[test]
fn the_codes_are_those_of_the_rfc() {
    let seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    assert_eq!(base32(seed), b"12345678901234567890");
    for (at, shown) in
        [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
    {
        assert_eq!(code(seed, at), shown, "{at}");
    }
}
