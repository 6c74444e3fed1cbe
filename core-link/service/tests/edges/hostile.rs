//! An Edge with a right certificate and bad intentions: it learns nothing, acts for nobody, and takes only its own
//! share of Core.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use postern_core::{
    activity::Origin,
    enrollment::{self, InviteError},
    person::{self, AddPersonError, NewPerson, PersonForm},
};
use postern_core_link::testing::{FakeEdge, FakeTunnel, Manner};
use postern_proto::{
    client_types::{EnrollmentStartRequest, InstanceInfoRequest},
    link::RequestContext,
    proxy::{CoreRequest, CoreResponse, DeviceInfo, core_request, core_response::Payload},
    rejection::Code,
};
use prost::Message as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use crate::core::{Core, is_connected, until, within};

const WRITTEN_OUT: &str = include_str!("../../../../proto/tests/recordings/written-out.jsonl");
/// Many times what may be written.
const ROUNDS: usize = 10;
/// What an Edge may have in flight, and some more.
const FLOOD: u64 = 400;
/// What is written of refusals in a second; see the budget for them.
const ROWS_PER_SECOND: u64 = 5;

/// Two Edges of one Core, and joe and mary in it.
struct Scene {
    core: Core,
    hostile: FakeTunnel,
    honest: FakeTunnel,
    _edges: [FakeEdge; 2],
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::start(folder.path()).await;
        for login in ["joe", "mary"] {
            add_person(&core, login).await;
        }
        let mut edges = [FakeEdge::unadopted(Manner::Ours).await, FakeEdge::unadopted(Manner::Ours).await];
        for edge in &edges {
            core.add(edge.address()).await.unwrap();
        }
        let [hostile, honest] = &mut edges;
        let (hostile, honest) = (within(hostile.tunnel()).await, within(honest.tunnel()).await);
        until(async || is_connected(&core).await).await;
        Self { core, hostile, honest, _edges: edges, _folder: folder }
    }

    async fn rows(&self) -> u64 {
        let rows = self.core.store().read(|tx| Box::pin(postern_core::activity::newest(tx, 10_000))).await;
        let rows: Result<Vec<_>, postern_core::store::StoreError> = rows;
        rows.unwrap().len() as u64
    }
}

#[tokio::test]
async fn every_kind_of_guess_is_refused_tells_nothing_and_leaves_few_rows() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut scene = Scene::set().await;
    let (before, begun) = (scene.rows().await, Instant::now());
    let corpus = corpus();
    let mut id = 0;
    let mut kinds = BTreeSet::new();
    for _ in 0..ROUNDS {
        for request in &corpus {
            id += 1;
            kinds.insert(request.payload.as_ref().map(core_request::Payload::kind));
            scene.hostile.send_message(CoreRequest { id, ..forged(request, &mut random) }).await;
            let Some(reply) = within(scene.hostile.reply(id)).await else { panic!("seed {seed}: the tunnel ended") };
            assert!(tells_nothing(&reply), "seed {seed}: {request:?} got {reply:?}");
        }
    }
    assert!(kinds.len() > 15, "{kinds:?}");
    // The seconds begun count whole, at both ends; what is noted once for each kind comes on top.
    let allowed = (begun.elapsed().as_secs() + 3) * ROWS_PER_SECOND;
    let written = scene.rows().await - before;
    assert!(written >= 1 && written <= allowed, "{written} rows, {allowed} are allowed");
}

#[tokio::test]
async fn a_flood_from_one_edge_costs_the_other_nothing() {
    let mut scene = Scene::set().await;
    let joe = invite(&scene.core, "joe").await;
    for id in 1..=FLOOD {
        scene.hostile.send(id, poll(&format!("{id:032}"))).await;
    }
    let begun = Instant::now();
    scene.honest.send_message(start(&joe)).await;
    let Some(Payload::EnrollmentStart(started)) = within(scene.honest.reply(1)).await else { panic!("it is served") };
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(started.user.unwrap().login, "joe");

    // Each of the flood got an answer, and none of them was good.
    let mut missing: BTreeSet<u64> = (1..=FLOOD).collect();
    while !missing.is_empty() {
        let reply = within(scene.hostile.next()).await.unwrap();
        if let Some(Payload::CoreError(error)) = reply.payload {
            let known = [Code::PermissionDenied as i32, Code::ResourceExhausted as i32];
            assert!(known.contains(&error.status_code), "{error:?}");
            missing.remove(&reply.id);
        }
    }
}

#[tokio::test]
async fn a_removed_edge_has_no_tunnel_and_cannot_come_back() {
    let mut scene = Scene::set().await;
    let joe = invite(&scene.core, "joe").await;
    let id = scene.core.list().await[0].record.id.to_string();

    scene.core.edges.remove(&Origin::command_line(), &id).await.unwrap();

    // What it still sends reaches nobody: its tunnel has ended.
    within(async { while scene.hostile.next().await.is_some() {} }).await;
    assert_eq!(scene.core.links(), 1);
    scene.honest.send_message(start(&joe)).await;
    assert!(
        matches!(within(scene.honest.reply(1)).await, Some(Payload::EnrollmentStart(_))),
        "the other one is served"
    );
}

/// Right in form, and wrong in all that counts.
fn forged(request: &CoreRequest, random: &mut StdRng) -> CoreRequest {
    let addresses = ["192.0.2.1", "::1", "10.0.0.1", "", "not an address", "127.0.0.1:80", "fe80::1%eth0"];
    let address = addresses.choose(random).unwrap().to_string();
    let device_info = DeviceInfo {
        ip_address: if random.random_ratio(1, 20) { "1".repeat(5_000) } else { address },
        user_agent: Some("<script>alert(1)</script>".to_owned()),
        version: Some("\u{1b}[2J".to_owned()),
        platform: Some("////".to_owned()),
    };
    let operation_id = ["", "op-1", "../../etc/passwd", " "].choose(random).unwrap().to_string();
    let context = RequestContext { operation_id, deadline_ms: random.random(), ..RequestContext::default() };
    CoreRequest { device_info: Some(device_info), context: Some(context), ..request.clone() }
}

/// A refusal, or what a stranger may know: that a mail was perhaps sent, and that a login is not open.
fn tells_nothing(reply: &Payload) -> bool {
    let shown = bytes_as_text(reply);
    let names_somebody = ["joe", "mary", "example.org"].iter().any(|secret| shown.contains(secret));
    let refused = matches!(reply, Payload::CoreError(error) if error.status_code != 0);
    let not_open = matches!(reply, Payload::ClientMfaTokenValidation(validation) if !validation.token_valid);
    (refused || not_open || *reply == Payload::Empty(())) && !names_somebody
}

/// Debug redacts what the bytes still hold.
fn bytes_as_text(reply: &Payload) -> String {
    let message = CoreResponse { id: 0, payload: Some(reply.clone()) };
    String::from_utf8_lossy(&message.encode_to_vec()).to_lowercase()
}

/// A request of every kind with all its fields, but not what belongs to the link itself, and no wait of a minute.
fn corpus() -> Vec<CoreRequest> {
    let lines = WRITTEN_OUT.lines().filter(|line| line.contains(r#""defguard.proxy.v2.CoreRequest""#));
    let requests = lines.map(|line| CoreRequest::decode(&*bytes_of(line)).unwrap());
    let asked = requests.filter(|request| {
        !matches!(
            request.payload,
            None | Some(
                core_request::Payload::Probe(_)
                    | core_request::Payload::ProbeReply(_)
                    | core_request::Payload::Draining(_)
                    | core_request::Payload::Cancel(_)
                    | core_request::Payload::AwaitRemoteMfaFinish(_)
            )
        )
    });
    asked.collect()
}

fn bytes_of(line: &str) -> Vec<u8> {
    let (_, hex) = line.split_once(r#""hex": ""#).unwrap();
    let (hex, _) = hex.split_once('"').unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// As an honest Edge asks.
fn start(token: &str) -> CoreRequest {
    let payload = core_request::Payload::EnrollmentStart(EnrollmentStartRequest { token: token.to_owned() });
    let device_info = DeviceInfo { ip_address: "192.0.2.1".to_owned(), ..DeviceInfo::default() };
    CoreRequest { id: 1, device_info: Some(device_info), payload: Some(payload), ..CoreRequest::default() }
}

fn poll(token: &str) -> core_request::Payload {
    core_request::Payload::InstanceInfo(InstanceInfoRequest { token: token.to_owned() })
}

async fn add_person(core: &Core, login: &str) {
    let form = PersonForm {
        login: login.to_owned(),
        email: format!("{login}@example.org"),
        first_name: login.to_owned(),
        last_name: "Doe".to_owned(),
        ..PersonForm::default()
    };
    let new = NewPerson::try_from(form).unwrap();
    let origin = Origin::command_line();
    let add = core.store().write(move |tx| Box::pin(async move { person::add(tx, &new, &origin).await }));
    let added: Result<_, AddPersonError> = add.await;
    added.map(drop).unwrap();
}

async fn invite(core: &Core, login: &'static str) -> String {
    let origin = Origin::command_line();
    let invite = core.store().write(move |tx| Box::pin(async move { enrollment::invite(tx, login, &origin).await }));
    let invited: Result<_, InviteError> = invite.await;
    invited.unwrap().token.expose().to_owned()
}
