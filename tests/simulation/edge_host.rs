//! A simulated Edge: the real listener, registry and CoreClient, with a front that takes one call for each connection
//! in place of HTTP.

use std::time::Duration;

use postern_edge::{
    adoption::AdoptionPolicy,
    certificate::Certificates,
    chance::Chance,
    core_client::{CallContext, CallError, CoreClient, OperationId},
    testing::no_acme,
    tunnel::{
        listener::{TunnelListener, TunnelListenerConfig},
        push::SessionKeys,
        registry::TunnelRegistry,
    },
};
use postern_proto::{
    client_types::{DeviceConfigResponse, NewDevice},
    proxy::DeviceInfo,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use turmoil::net::TcpStream;

use crate::{
    identities::Adopted,
    network::{FRONT_PORT, SimulatedPort, TUNNEL_PORT, listen},
    scene::{Order, Scene},
};

/// Between "I leave" and the end of accepting.
const DRAIN_DELAY: Duration = Duration::from_millis(200);
/// For a call's one line: who never sends it holds up no end of the Edge.
const HEAD_MAX: Duration = Duration::from_secs(1);
/// A simulated clock moves in steps of a millisecond, and a task may run some of them later.
const LATENESS_MAX: Duration = Duration::from_millis(20);

pub(crate) async fn run(scene: Scene, name: String, adopted: Adopted) -> turmoil::Result {
    let (_, dice) = scene.enter(&name);
    let registry = TunnelRegistry::with_chance(SessionKeys::default(), Chance::new(move |bound| dice.below(bound)));
    scene.show_registry(&name, registry.clone());
    let listener = TunnelListener::new(TunnelListenerConfig {
        port: SimulatedPort(listen(TUNNEL_PORT).await?),
        identity: adopted.identity,
        adoption: AdoptionPolicy { from: Vec::new(), window: Duration::ZERO },
        registry: registry.clone(),
        acme: no_acme(),
        certificates: Certificates::default(),
    });
    let close = CancellationToken::new();
    let mut tunnels = JoinSet::new();
    tunnels.spawn(listener.run(close.clone()));
    let mut front = Front { scene, name, client: CoreClient::new(registry.clone()), calls: JoinSet::new() };
    front.serve().await?;
    registry.announce_leaving();
    tokio::select! {
        biased;
        () = sleep(DRAIN_DELAY) => {}
        served = front.serve() => served?,
    }
    front.finish().await;
    close.cancel();
    while tunnels.join_next().await.is_some() {}
    Ok(())
}

struct Front {
    scene: Scene,
    name: String,
    client: CoreClient,
    calls: JoinSet<()>,
}

impl Front {
    /// Until the host is told to leave.
    async fn serve(&mut self) -> turmoil::Result {
        let port = listen(FRONT_PORT).await?;
        loop {
            tokio::select! {
                biased;
                order = self.scene.next_order(&self.name) => match order {
                    Order::JumpClock(by) => self.scene.jump(&self.name, by).await,
                    Order::Leave => return Ok(()),
                },
                accepted = port.accept() => {
                    let (stream, _) = accepted?;
                    self.calls.spawn(answer(stream, self.client.clone(), self.scene.clone(), self.name.clone()));
                }
                Some(_) = self.calls.join_next() => {}
            }
        }
    }

    async fn finish(&mut self) {
        while self.calls.join_next().await.is_some() {}
    }
}

async fn answer(stream: TcpStream, client: CoreClient, scene: Scene, name: String) {
    let name = name.as_str();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if !matches!(timeout(HEAD_MAX, stream.read_line(&mut line)).await, Ok(Ok(_))) {
        return;
    }
    let Some((operation, payload, budget)) = parse(&line) else { return };
    let call = call(&client, operation, payload, budget);
    let (begun, jumps) = (Instant::now(), scene.jumps(name));
    let (open, called) = (scene.open_call(name), scene.trace.now());
    scene.claims.call(name, operation, called);
    let outcome = tokio::select! {
        biased;
        outcome = call => outcome,
        // One call for each connection: more can only be its end.
        _ = stream.read_u8() => return scene.trace.note(name, format_args!("{operation}: the caller left")),
    };
    drop(open);
    if begun.elapsed() > budget + LATENESS_MAX && jumps == scene.jumps(name) {
        scene.trace.accuse(format!("{name} answered {operation} {:?} after it began", begun.elapsed()));
    }
    let text = words(outcome, payload, &scene);
    if text.starts_with("503") || text.starts_with("429") {
        scene.claims.deny(name, operation, called);
    }
    scene.trace.note(name, format_args!("{operation}: {text}"));
    // The caller may have left just now.
    if stream.write_all(format!("{text}\n").as_bytes()).await.is_ok() {
        drop(stream.shutdown().await);
    }
}

fn parse(line: &str) -> Option<(&str, &str, Duration)> {
    let mut words = line.split_whitespace();
    let (operation, payload) = (words.next()?, words.next()?);
    let budget = words.next()?.parse().ok()?;
    Some((operation, payload, Duration::from_millis(budget)))
}

async fn call(
    client: &CoreClient,
    operation: &str,
    payload: &str,
    budget: Duration,
) -> Result<DeviceConfigResponse, CallError> {
    let context = CallContext {
        device_info: DeviceInfo { ip_address: "192.0.2.1".to_owned(), ..DeviceInfo::default() },
        operation_id: OperationId::parse(operation).expect("people send valid ids"),
        deadline: Instant::now() + budget,
    };
    client.call(NewDevice { name: payload.to_owned(), ..NewDevice::default() }, context).await
}

/// As HTTP would say it: a status, and the reply.
fn words(outcome: Result<DeviceConfigResponse, CallError>, payload: &str, scene: &Scene) -> String {
    match outcome {
        Ok(reply) => {
            let reply = reply.token.unwrap_or_default();
            if reply != format!("done/{payload}") {
                scene.trace.accuse(format!("{payload} got the reply of another call: {reply}"));
            }
            format!("200 {reply}")
        }
        Err(CallError::NoTunnel) => "503 no-tunnel".to_owned(),
        Err(CallError::Overloaded) => "429 overloaded".to_owned(),
        Err(CallError::TunnelLost) => "502 lost".to_owned(),
        Err(CallError::BadReply) => "502 bad-reply".to_owned(),
        Err(CallError::DeadlineExceeded) => "504 late".to_owned(),
        Err(CallError::Rejected(rejection)) if rejection.code == Code::Unavailable => "503 unavailable".to_owned(),
        Err(CallError::Rejected(rejection)) if rejection.code == Code::ResourceExhausted => "429 core-busy".to_owned(),
        Err(CallError::Rejected(rejection)) => format!("500 {:?}", rejection.code),
    }
}
