//! Desktops that wait for a phone to say yes, which comes after a while. Each that got its key begins anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use postern_tests::{Client, clients::MOBILE_APPROVE, eventually};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use crate::{
    load::Tally,
    people::{Member, People},
    system::System,
    visit::{Effect, Visit, is_key},
};

/// From the phone's "done" to the desktop's key.
const DELIVERY_MAX: Duration = Duration::from_millis(4200);

/// People do not come in one moment: so long after the one before.
const APART: Duration = Duration::from_millis(25);

/// Sockets that are open until [`Websockets::finish`].
#[derive(Debug)]
pub(super) struct Websockets {
    stop: CancellationToken,
    desktops: JoinSet<Tally>,
    opened: Arc<AtomicUsize>,
    count: usize,
}

/// One after the other, by one desktop.
#[derive(Debug)]
struct Desktop {
    client: Client,
    people: People,
    number: usize,
    approval_max: Duration,
    opened: Arc<AtomicUsize>,
}

impl Websockets {
    /// So many at a time, and somebody says yes to each within this.
    pub(super) fn open(system: &System, people: &People, count: usize, approval_max: Duration) -> Self {
        let (stop, mut desktops, opened) = (CancellationToken::new(), JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for number in 0..count {
            let (client, people, opened) = (system.client(), people.clone(), Arc::clone(&opened));
            let desktop = Desktop { client, people, number, approval_max, opened };
            desktops.spawn_on(desktop.wait_again_and_again(stop.clone()), &system.hosts.public);
        }
        Self { stop, desktops, opened, count }
    }

    /// Waits until each desktop has opened one.
    pub(super) async fn all_open(&self) -> Result<()> {
        let all = || async { self.opened.load(Ordering::Relaxed) == self.count };
        eventually("every desktop waits on a websocket", PATIENCE, all).await.map(drop)
    }

    /// Opens no more, waits until everybody has got an answer, and says what happened.
    pub(super) async fn finish(mut self) -> Result<Tally> {
        self.stop.cancel();
        let mut tally = Tally::default();
        while let Some(one) = self.desktops.join_next().await {
            tally.append(one.context("a desktop panicked")?);
        }
        Ok(tally)
    }
}

impl Desktop {
    async fn wait_again_and_again(self, stop: CancellationToken) -> Tally {
        let members = Arc::clone(&self.people.members);
        let member = &members[self.number % members.len()];
        let mut tally = Tally::default();
        tokio::time::sleep(APART * u32::try_from(self.number).unwrap_or(u32::MAX)).await;
        for round in 0.. {
            if stop.is_cancelled() {
                break;
            }
            let mut visit = Visit::new(self.client.clone());
            let is_open = || {
                if round == 0 {
                    self.opened.fetch_add(1, Ordering::Relaxed);
                }
            };
            if wait_for_approval(&mut visit, member, self.thinking(round), is_open).await.is_err() {
                // A sample says what was wrong. Core is not asked again at once.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            tally.take(Ok(visit));
        }
        tally
    }

    /// How long this person looks at the phone: spread over the whole time, and another each round.
    fn thinking(&self, round: usize) -> Duration {
        const PARTS: usize = 97;
        self.approval_max.mul_f64(((self.number * 31 + round * 53) % PARTS) as f64 / PARTS as f64)
    }
}

async fn wait_for_approval(
    visit: &mut Visit,
    member: &Member,
    thinking: Duration,
    is_open: impl FnOnce(),
) -> Result<()> {
    let (token, challenge) = visit.begin_login(&member.laptop, MOBILE_APPROVE).await?;
    let at = Instant::now();
    let opened = open(&token).await;
    let mut socket = visit.note("websocket opened", at, at.elapsed(), opened)?;
    is_open();
    // While the person looks at the phone, a socket that ends has failed.
    if let Ok(ended) = timeout(thinking, key_of(&mut socket)).await {
        let ended = ended.and_then(|()| bail!("a key that nobody has approved"));
        return visit.note("websocket waits", at, Duration::ZERO, ended);
    }
    let yes = json!({ "token": token, "code": member.sign(&challenge), "auth_pub_key": member.public_key() });
    let effect = Effect::Approved { login: member.login.clone() };
    visit.asked.push(effect.clone());
    visit.post("finish-remote", "/api/v1/client-mfa/finish-remote", &yes, |_| Ok(())).await?;
    visit.told.push(effect);
    let at = Instant::now();
    let delivered = timeout(DELIVERY_MAX, key_of(&mut socket)).await.context("no key").and_then(|read| read);
    visit.note("key delivered", at, at.elapsed(), delivered)
}

async fn open(token: &str) -> Result<WebSocketStream<TcpStream>> {
    let public = crate::system::public();
    let stream = TcpStream::connect(public).await.context("cannot connect")?;
    let request = format!("ws://{public}/api/v1/client-mfa/remote?token={token}").into_client_request()?;
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => bail!("refused with {}", response.status()),
        Err(error) => Err(error).context("no websocket"),
    }
}

/// The one text that a desktop knows.
async fn key_of(socket: &mut WebSocketStream<TcpStream>) -> Result<()> {
    while let Some(message) = socket.next().await {
        match message.context("the socket broke")? {
            Message::Text(frame) => {
                let body: Value = serde_json::from_str(&frame).context("a frame that is no JSON")?;
                ensure!(body["type"] == "mfa_success", "an unknown frame: {body}");
                return is_key(&body);
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Binary(_) => bail!("a frame that is no text"),
            Message::Close(frame) => bail!("closed without a key: {frame:?}"),
        }
    }
    bail!("ended without a key")
}
