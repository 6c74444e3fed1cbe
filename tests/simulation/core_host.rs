//! A simulated Core: the real core-link, and behind it a model of the use cases on the shared database.

use std::time::Duration;

use postern_core_link::{Edge, EdgeId, Greeting, Handler, Reply, Request, Supervisor, SupervisorConfig, Surroundings};
use postern_edge::tunnel::push::KeyId;
use postern_proto::{
    client_types::DeviceConfigResponse,
    limits::SESSION_KEY_LENGTH,
    link::{SessionKey, SessionKeyRing},
    proxy::{core_request, core_response},
    rejection::Rejection,
};
use tokio::time::sleep;
use tonic::Code;

use crate::{
    identities::{adopted, host_of},
    memory::Begun,
    network::{SimulatedNetwork, address_of},
    scene::{Dice, Order, Scene},
};

/// The Cores of every simulation.
pub(crate) const CORES: [&str; 2] = ["core-1", "core-2"];
/// How often the database is busy: rolled back, and nothing happened.
const ROLLED_BACK: f64 = 0.1;
/// How often it cannot even be asked whether this was done before.
const BUSY: f64 = 0.2;
/// A payload that begins like this is never rolled back.
pub(crate) const CALM: &str = "calm";

pub(crate) async fn run(scene: Scene, name: &'static str) -> turmoil::Result {
    let (life, dice) = scene.enter(name);
    let spread = dice.clone();
    let network = SimulatedNetwork { core: name, dials: scene.dials.clone(), trace: scene.trace.clone() };
    let surroundings = Surroundings { network: Box::new(network), chance: Box::new(move || spread.part()) };
    let config = SupervisorConfig {
        instance: format!("{name}-{life}").parse()?,
        greeting: greeting(),
        limits: scene.scale.limits,
    };
    let supervisor = Supervisor::start_in(surroundings, config, Model { scene: scene.clone(), name, dice });
    supervisor.set_edges(edges(scene.scale.links));
    scene.show_supervisor(name, supervisor.clone());
    while let Order::JumpClock(by) = scene.next_order(name).await {
        scene.jump(name, by).await;
    }
    supervisor.shutdown().await;
    Ok(())
}

fn edges(links: usize) -> Vec<Edge> {
    let in_turn = adopted().iter().cycle().take(links).enumerate();
    let edges = in_turn.zip(1..).map(|((link, adopted), id)| Edge {
        id: EdgeId(id),
        address: address_of(link),
        trust: adopted.edge.trust.clone(),
    });
    edges.collect()
}

fn greeting() -> Greeting {
    let key = [7; SESSION_KEY_LENGTH];
    let id = KeyId::of(&key).0.to_vec();
    let ring = SessionKeyRing { epoch: 1, primary_id: id.clone(), keys: vec![SessionKey { id, key: key.to_vec() }] };
    Greeting::new(ring).expect("the primary is in the ring")
}

struct Model {
    scene: Scene,
    name: &'static str,
    dice: Dice,
}

impl Handler for Model {
    async fn handle(&self, request: Request) -> Reply {
        let core_request::Payload::NewDevice(asked) = request.payload else {
            return Err(Rejection::new(Code::Unimplemented, "nobody asks for this here"));
        };
        let Some(operation) = request.operation_id else {
            self.scene.trace.accuse(format!("{} was asked without an operation id", self.name));
            return Err(Rejection::new(Code::InvalidArgument, "no operation id"));
        };
        let edge = usize::try_from(request.edge.0 - 1).map(host_of).expect("Edges are numbered from 1");
        let reply = self.operate(&edge, operation.expose(), &asked.name).await?;
        let reply = DeviceConfigResponse { token: Some(reply), ..DeviceConfigResponse::default() };
        Ok(core_response::Payload::DeviceConfig(reply))
    }
}

impl Model {
    async fn operate(&self, edge: &str, operation: &str, payload: &str) -> Result<String, Rejection> {
        let (work, way_back) = pace(payload);
        let note = |what: &str| self.scene.trace.note(self.name, format_args!("{operation}: {what}"));
        if !payload.starts_with(CALM) && self.dice.happens(BUSY) {
            note("not begun");
            return Err(Rejection::new(Code::Unavailable, "the database is busy"));
        }
        let reply = match self.scene.memory.begin(operation, payload).await {
            Begun::Replayed(reply) => {
                note("replayed");
                reply
            }
            Begun::Mismatch => {
                self.scene.trace.accuse(format!("{operation} came with another payload"));
                return Err(Rejection::new(Code::InvalidArgument, "another payload"));
            }
            Begun::New(transaction) => {
                note("begun");
                let begun = self.scene.trace.now();
                sleep(work).await;
                if !payload.starts_with(CALM) && self.dice.happens(ROLLED_BACK) {
                    note("rolled back");
                    drop(transaction);
                    return Err(Rejection::new(Code::Unavailable, "the database is busy"));
                }
                note("committed");
                self.scene.claims.take_effect(edge, operation, begun);
                transaction.commit()
            }
        };
        sleep(way_back).await;
        Ok(reply)
    }
}

/// `name.work.way_back`, both in milliseconds.
fn pace(payload: &str) -> (Duration, Duration) {
    let mut parts = payload.split('.').skip(1).map(|part| part.parse().unwrap_or(0));
    let mut next = || Duration::from_millis(parts.next().unwrap_or(0));
    (next(), next())
}
