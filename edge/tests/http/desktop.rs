//! A desktop's end of a websocket, and what Core sees of it.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use postern_edge::testing::FakeTunnel;
use postern_proto::proxy::{AwaitRemoteMfaFinishResponse, core_request::Payload as Asked, core_response::Payload};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message},
};

use crate::{
    answers::PRESHARED_KEY,
    harness::{Reply, Site},
};

pub(crate) const REMOTE: &str = "/api/v1/client-mfa/remote";
const SUCCESS: &str = r#"{"type":"mfa_success","preshared_key":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="}"#;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A desktop's end of an open websocket.
pub(crate) struct Desktop(WebSocketStream<TcpStream>);

impl Desktop {
    pub(crate) async fn open(site: &Site, token: &str) -> Self {
        Self::try_open(site, token).await.unwrap_or_else(|status| panic!("{status}"))
    }

    /// The status instead of the 101.
    pub(crate) async fn try_open(site: &Site, token: &str) -> Result<Self, u16> {
        match client_async(format!("ws://edge{REMOTE}?token={token}"), site.connect().await).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(reply)) => Err(reply.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn leave(mut self) {
        self.0.close(None).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// What comes, but for pings.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("not in time")? {
                Ok(Message::Ping(_)) => {}
                Ok(message) => return Some(message),
                Err(_) => return None,
            }
        }
    }

    /// How it closes, if nothing else comes before.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let Some(Message::Close(Some(frame))) = self.next().await else { panic!("something else than a close") };
        assert!(self.next().await.is_none());
        (frame.code.into(), frame.reason.to_string())
    }

    pub(crate) async fn expect_success(&mut self) {
        assert_eq!(self.next().await, Some(Message::text(SUCCESS)));
        assert_eq!(self.closed().await.0, 1000);
    }
}

pub(crate) fn approval() -> Payload {
    Payload::AwaitRemoteMfaFinish(AwaitRemoteMfaFinishResponse { preshared_key: PRESHARED_KEY.into() })
}

/// The request that a desktop sends, for what is refused; the Edge closes after it.
pub(crate) async fn refused(site: &Site, query: &str, lines: &str) -> Reply {
    let opening = "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    site.exchange(&format!("GET {REMOTE}{query} HTTP/1.1\r\nhost: edge\r\n{opening}{lines}\r\n")).await
}

/// Ids of the waits that reached Core so far, once there are so many.
pub(crate) async fn waits(tunnel: &FakeTunnel, count: usize) -> Vec<u64> {
    let look = async {
        loop {
            let asked = tunnel.requests(0).await.into_iter();
            let waits = asked.filter(|asked| matches!(asked.payload, Some(Asked::AwaitRemoteMfaFinish(_))));
            let ids: Vec<_> = waits.map(|asked| asked.id).collect();
            if ids.len() >= count {
                return ids;
            }
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, look).await.expect("core is asked to wait")
}
