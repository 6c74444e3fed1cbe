//! An Edge that sends what it likes: a bad message fails its own id, and neither tunnel nor process end.

use std::{
    panic,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use postern_core_link::{Request, testing::Manner};
use postern_proto::proxy::CoreRequest;
use prost::Message as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tonic::Code;

use crate::{connected, echo, in_time, is_connected, rejected, start, started, status};

const WRITTEN_OUT: &str = include_str!("../../../proto/tests/recordings/written-out.jsonl");
const LENGTH_MAX: usize = 4_096;
/// After so many messages the test waits until Core has answered, so that nobody's queue is full.
const BATCH: u64 = 100;
const BATCHES: u64 = 200;
/// Ids that damage does not produce.
const HONEST: u64 = 0x5afe_c0de_0000_0000;

static PANICS: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn a_bad_message_fails_its_own_id_and_not_the_tunnel() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    tunnel.send_bytes(Bytes::from_static(b"\x08\x05\x1a\x7f")).await;
    tunnel.send_bytes(Bytes::from_static(b"\x08\x06\xa2\x06\x00")).await;
    tunnel.send_bytes(Bytes::from_static(b"\xff\xff\xff")).await;
    tunnel.send_bytes(Bytes::new()).await;
    tunnel.send(0, start("a push that nobody knows")).await;
    tunnel.send(9, start("fine")).await;

    assert_eq!(in_time(tunnel.reply(5)).await, rejected(Code::InvalidArgument, "the request cannot be read"));
    let unknown = rejected(Code::Unimplemented, "this Core does not know this request");
    assert_eq!(in_time(tunnel.reply(6)).await, unknown);
    assert_eq!(in_time(tunnel.reply(9)).await, Some(started("fine")));
}

#[tokio::test]
async fn a_huge_message_fails_its_own_id_and_is_not_served() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    tunnel.send(5, start(&"x".repeat(300 * 1024))).await;
    tunnel.send(6, start("fine")).await;

    assert_eq!(in_time(tunnel.reply(5)).await, rejected(Code::InvalidArgument, "the request is too large"));
    assert_eq!(in_time(tunnel.reply(6)).await, Some(started("fine")));
}

/// 20,000 of them, each a damaged request of some kind, while the tunnel serves honest ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_hostile_messages_ends_no_tunnel_and_no_process() {
    count_panics();
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let corpus = requests();
    let (core, _edge, mut tunnel) = connected(Manner::Ours, |request: Request| async {
        // What a handler does with it: look at all of it, and log it.
        drop(format!("{request:?}"));
        echo(request).await
    })
    .await;
    for batch in 1..=BATCHES {
        for _ in 0..BATCH {
            tunnel.send_bytes(hostile(&corpus, &mut random)).await;
        }
        let honest = HONEST + batch;
        tunnel.send(honest, start("fine")).await;
        assert_eq!(in_time(tunnel.reply(honest)).await, Some(started("fine")), "batch {batch} of seed {seed}");
    }
    assert!(is_connected(&status(&core, is_connected).await));
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "seed {seed}");
}

/// Requests of every kind with all their fields.
fn requests() -> Vec<CoreRequest> {
    let lines = WRITTEN_OUT.lines().filter(|line| line.contains(r#""defguard.proxy.v2.CoreRequest""#));
    let requests: Vec<_> = lines.map(|line| CoreRequest::decode(&*bytes_of(line)).expect("a message")).collect();
    assert!(requests.len() > 20, "{} kinds", requests.len());
    requests
}

/// With an id that is none, or might be in flight, or anything.
fn hostile(corpus: &[CoreRequest], random: &mut StdRng) -> Bytes {
    let mut message = corpus.choose(random).expect("there are some").clone();
    message.id = [0, random.random_range(0..1_000), random.random()][random.random_range(0..3)];
    mutated(message.encode_to_vec(), random).into()
}

/// One to four changes: bits, lengths, order, size; or something else altogether.
fn mutated(mut message: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
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
    let (_, hex) = line.split_once(r#""hex": ""#).expect("each line has it");
    let (hex, _) = hex.split_once('"').expect("each line ends it");
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// A panic is seen nowhere else: each task has somebody who survives it.
fn count_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        before(info);
    }));
}
