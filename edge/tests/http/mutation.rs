//! Messages of a Core, and what a hostile one could make of them.

use bytes::Bytes;
use postern_proto::proxy::{CoreResponse, core_response::Payload};
use prost::Message as _;
use rand::{Rng as _, rngs::StdRng};

const WRITTEN_OUT: &str = include_str!("../../../proto/tests/recordings/written-out.jsonl");
/// Long enough for any nesting, short enough for many of them.
const LENGTH_MAX: usize = 4_096;

/// Replies and pushes of every kind, all fields set and none.
pub(crate) fn replies() -> Vec<CoreResponse> {
    let lines = WRITTEN_OUT.lines().filter(|line| line.contains(r#""defguard.proxy.v2.CoreResponse""#));
    let written = lines.map(|line| CoreResponse::decode(&*bytes_of(line)).unwrap());
    written.filter(|reply| reply.payload.is_some()).collect()
}

/// The payload as bytes, without an id.
pub(crate) fn encoded(payload: Payload) -> Vec<u8> {
    CoreResponse { id: 0, payload: Some(payload) }.encode_to_vec()
}

/// A message with this id, whatever comes behind it.
pub(crate) fn with_id(id: u64, rest: &[u8]) -> Bytes {
    let mut message = Vec::new();
    prost::encoding::uint64::encode(1, &id, &mut message);
    message.extend_from_slice(rest);
    message.into()
}

/// One to four changes: bits, lengths, order, size; or something else altogether.
pub(crate) fn mutated(mut message: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=message.len());
        let byte = random.random();
        match random.random_range(0..8) {
            0 if at < message.len() => message[at] ^= 1 << random.random_range(0..8),
            1 if at < message.len() => message[at] = byte,
            2 => message.truncate(at),
            3 => message.insert(at, byte),
            4 => message.extend_from_within(at..),
            // A varint of the largest size: a length beyond any message, or a number beyond any field.
            5 => drop(message.splice(at..at, [0xff; 9].into_iter().chain([random.random_range(0..4)]))),
            6 => message.rotate_left(at),
            7 => message = (0..random.random_range(0..300)).map(|_| random.random()).collect(),
            _ => message.reverse(),
        }
        message.truncate(LENGTH_MAX);
    }
    message
}

fn bytes_of(line: &str) -> Vec<u8> {
    let (_, hex) = line.split_once(r#""hex": ""#).unwrap();
    let (hex, _) = hex.split_once('"').unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
