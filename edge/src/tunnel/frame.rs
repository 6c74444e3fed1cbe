//! Reads the id of a message without decoding the rest.
//!
//! The caller that waits decodes its own reply: the work is spread, and a message that does not
//! decode fails its own id only.

use bytes::{Buf as _, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

const ID_FIELD: u32 = 1;
/// Key byte of field 1 as a varint, which every encoder puts first.
const ID_KEY: u8 = 0x08;

/// The bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message")]
pub(super) struct Malformed;

/// The message's id; 0 when it has none.
pub(super) fn peek_id(message: &Bytes) -> Result<u64, Malformed> {
    let mut rest: &[u8] = message;
    if rest.first() == Some(&ID_KEY) {
        rest.advance(1);
        return decode_varint(&mut rest).map_err(|_| Malformed);
    }
    find_id(rest)
}

/// Any order of fields is legal, if unusual.
fn find_id(mut rest: &[u8]) -> Result<u64, Malformed> {
    while rest.has_remaining() {
        let (field, wire_type) = decode_key(&mut rest).map_err(|_| Malformed)?;
        if field == ID_FIELD && wire_type == WireType::Varint {
            return decode_varint(&mut rest).map_err(|_| Malformed);
        }
        skip_field(wire_type, field, &mut rest, DecodeContext::default()).map_err(|_| Malformed)?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use postern_proto::proxy::{CoreError, CoreResponse, core_response::Payload};
    use prost::Message as _;

    use super::*;

    #[test]
    fn the_id_is_what_a_full_decode_would_find() {
        for id in [0, 1, 127, 128, u64::MAX] {
            let payload =
                Payload::CoreError(CoreError { status_code: 3, message: "no".to_owned(), retry_after_seconds: None });
            let message = CoreResponse { id, payload: Some(payload) }.encode_to_vec();
            assert_eq!(peek_id(&message.into()), Ok(id));
        }
    }

    #[test]
    fn an_id_behind_other_fields_is_found() {
        assert_eq!(peek_id(&Bytes::from_static(&[0x12, 0x00, 0x08, 0x05])), Ok(5));
    }

    #[test]
    fn garbage_is_malformed_and_never_a_panic() {
        assert_eq!(peek_id(&Bytes::from_static(&[0x08])), Err(Malformed));
        assert_eq!(peek_id(&Bytes::from_static(&[0x12, 0xff])), Err(Malformed));
        assert_eq!(peek_id(&Bytes::from_static(&[0xff; 16])), Err(Malformed));
        for seed in 0..2_000_u32 {
            let bytes: Vec<u8> = (0..seed % 23).map(|i| (seed.wrapping_mul(2_654_435_761) >> (i % 24)) as u8).collect();
            assert!(matches!(peek_id(&bytes.into()), Ok(_) | Err(Malformed)));
        }
    }
}
