//! Raw messages pass through the codec unchanged, and a bad one does not end the stream.

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use postern_proto::codec::RawCodec;
use tonic::codec::{Codec as _, Streaming};

#[tokio::test]
async fn every_message_arrives_as_it_was_framed() {
    let messages = ["", "one", "\u{0}\u{0}garbage that no decoder accepts \u{fe}"];
    let mut stream = stream(messages.iter().map(|text| frame(text.as_bytes())).collect::<Vec<_>>().concat());

    for sent in messages {
        assert_eq!(stream.message().await.unwrap().unwrap(), Bytes::from_static(sent.as_bytes()));
    }
    assert!(stream.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_message_above_the_limit_ends_the_stream_with_an_error() {
    let announced = u32::try_from(postern_proto::limits::MESSAGE_MAX + 1).unwrap();
    let mut head = BytesMut::new();
    head.put_u8(0);
    head.put_u32(announced);

    assert_eq!(stream(head.to_vec()).message().await.unwrap_err().code(), tonic::Code::OutOfRange);
}

fn stream(body: Vec<u8>) -> Streaming<Bytes> {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    let limit = Some(postern_proto::limits::MESSAGE_MAX);
    Streaming::new_request(RawCodec.decoder(), body, None, limit)
}

/// gRPC's frame: not compressed, length, message.
fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len().try_into().unwrap());
    frame.put_slice(message);
    frame.to_vec()
}
