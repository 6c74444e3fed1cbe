//! The queue of messages to the Edge, as the stream that tonic sends.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Ends when `ended` is cancelled and what was queued by then has been sent.
pub(crate) struct Outgoing {
    queue: mpsc::Receiver<Bytes>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    closed: bool,
}

impl Outgoing {
    pub(crate) fn new(queue: mpsc::Receiver<Bytes>, ended: CancellationToken) -> Self {
        Self { queue, ended: Box::pin(ended.cancelled_owned()), closed: false }
    }
}

impl Stream for Outgoing {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.closed && self.ended.as_mut().poll(context).is_ready() {
            self.closed = true;
            self.queue.close();
        }
        self.queue.poll_recv(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn what_was_queued_is_sent_before_the_end() {
        let (sender, queue) = mpsc::channel(4);
        let ended = CancellationToken::new();
        let outgoing = Outgoing::new(queue, ended.clone());
        sender.try_send(Bytes::from_static(b"1")).unwrap();
        sender.try_send(Bytes::from_static(b"2")).unwrap();

        ended.cancel();

        assert_eq!(outgoing.collect::<Vec<_>>().await, [&b"1"[..], &b"2"[..]]);
        assert!(sender.is_closed());
    }
}
