//! Plays recorded calls against a Core of ours that was made to resemble the recorded one.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Duration,
};

use postern_core::{
    instance::Instance,
    location::{self, LocationForm, NewLocation},
    mail::MailUse,
};
use postern_core_link::{EdgeId, Handler as _, Request};
use postern_proto::proxy::{CoreRequest, CoreResponse, core_response::Payload};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

use crate::{
    authenticator::{STEP, code},
    phones::support::Phone,
    support::{Core, START, cli, key, location_form, new_device},
};

/// When the recorded device was made.
pub(super) const RECORDED_AT: i64 = 1_795_162_644;
const RECORDED_TOKEN: &str = "iGrLJH0kLDLWZfSXmKdJWDBoUU7WV0TC";
/// Of the link that resets a password.
const RECORDED_RESET: &str = "Zy2QGnCy1KA4Q3XIvRLcj2ahzkd59snD";
/// The recorded Core took it for the set-up, and once more for a login.
const RECORDED_CODE: &str = "463551";

/// The recorded phone's key, and what it signed: the challenges before the two logins that passed.
const RECORDED_PHONE: &str = "74Nw9t/AEf414iiWf7d2yiSS68vowYjpp1wKG1BKaGI=";
const RECORDED_SIGNATURES: [&str; 2] = [
    "OgxeOWrT/NrZbzqSHlEStMq+II7rLgLjg3nyZIL5DmLXdq/d/nQoi5tr3Fb2nK9PWRcwvGdqPKVdoLzXINFbAQ==",
    "xkIRI0XH+rwUxOA6/vfxQ8asHMVHAfHaV4bskh+zbbVdO6seN61WsisG0Mw10sADu6OLJEf62ZpJBfvG0nK3DA==",
];

/// A recorded call, as it went over the tunnel.
pub(super) struct Call {
    request: Vec<u8>,
    reply: Vec<u8>,
}

/// Two replies to the same call.
pub(super) struct Played {
    pub(super) call: String,
    pub(super) recorded: DynamicMessage,
    pub(super) ours: DynamicMessage,
}

pub(super) struct Player {
    core: Core,
    pool: DescriptorPool,
    recording: BTreeMap<String, Call>,
    /// What was recorded, and what it is here: tokens and codes.
    known: HashMap<String, String>,
    seed: Option<String>,
    phone: Phone,
}

impl Player {
    pub(super) async fn new() -> Self {
        let core = Core::start().await.with_settings(set).await;
        core.wait(RECORDED_AT - START);
        for login in ["admin", "first", "joe62644"] {
            core.add_person(login).await;
        }
        add_location(&core, "Office", "10.10.0.0/24", "FMY/cM6bkgAUd/DyMbTDNoGRKAfeopLXNGOIOtcIFEE=").await;
        add_location(&core, "Office 2", "10.11.0.0/24", "KWXgyAijqbkZ/OyxkdK9C1meuZUV69TizX4m3h3Wnhk=").await;
        // Ids and addresses go up, and the recorded device was not the first.
        let first = core.session("first").await;
        core.ask(new_device(&first, "first", &key(1))).await.unwrap();
        let phone = Phone::new("");
        let known = HashMap::from([
            (RECORDED_TOKEN.to_owned(), core.invite("joe62644").await),
            (RECORDED_PHONE.to_owned(), phone.public_key()),
        ]);
        Self { core, pool: pool(), recording: recording(), known, seed: None, phone }
    }

    /// Plays a call. The login with a code that is spent is played a second time, with the next code.
    pub(super) async fn play(&mut self, name: &str) -> Vec<Played> {
        let mut played = vec![self.ask(name, name).await];
        if name == "password_reset_init" {
            self.known.insert(RECORDED_RESET.to_owned(), self.core.mailed("password_reset", "token").await);
        }
        if name == "client_mfa_finish" {
            self.core.wait(STEP);
            self.learn_code();
            played.push(self.ask(name, "client_mfa_finish with a fresh code").await);
        }
        played
    }

    async fn ask(&mut self, name: &str, shown: &str) -> Played {
        let call = self.recording.get(name).unwrap_or_else(|| panic!("{name} was not recorded"));
        let mut request = self.message("CoreRequest", &call.request);
        let recorded = self.message("CoreResponse", &call.reply);
        replace(&mut request, &self.known);
        let CoreRequest { id, device_info, payload, context: _ } =
            CoreRequest::decode(request.encode_to_vec().as_slice()).unwrap();
        let reply = self.core.dispatcher.handle(Request {
            edge: EdgeId(1),
            device_info,
            operation_id: None,
            deadline: tokio::time::Instant::now() + Duration::from_secs(4),
            payload: payload.unwrap(),
        });
        let payload = reply.await.unwrap_or_else(|rejection| Payload::CoreError(rejection.into()));
        let ours = CoreResponse { id, payload: Some(payload) };
        self.learn(&CoreResponse::decode(recorded.encode_to_vec().as_slice()).unwrap(), &ours);
        Played { call: shown.to_owned(), recorded, ours: self.message("CoreResponse", &ours.encode_to_vec()) }
    }

    fn message(&self, name: &str, bytes: &[u8]) -> DynamicMessage {
        let descriptor = self.pool.get_message_by_name(&format!("defguard.proxy.v2.{name}")).unwrap();
        DynamicMessage::decode(descriptor, bytes).unwrap()
    }

    /// Later calls show again what this reply gave out.
    fn learn(&mut self, recorded: &CoreResponse, ours: &CoreResponse) {
        let (Some(recorded), Some(ours)) = (&recorded.payload, &ours.payload) else { return };
        if let (Some(recorded), Some(ours)) = (token_in(recorded), token_in(ours)) {
            self.known.insert(recorded, ours);
        }
        if let Payload::ClientMfaStart(started) = ours
            && let Some(challenge) = &started.challenge
        {
            let signature = self.phone.sign(challenge);
            self.known.extend(RECORDED_SIGNATURES.map(|recorded| (recorded.to_owned(), signature.clone())));
        }
        if let Payload::CodeMfaSetupStartResponse(started) = ours {
            self.seed.clone_from(&started.totp_secret);
            self.learn_code();
        }
    }

    fn learn_code(&mut self) {
        let seed = self.seed.as_ref().expect("the set-up comes first");
        self.known.insert(RECORDED_CODE.to_owned(), code(seed, self.core.store.now().as_unix()));
    }
}

/// By name, which is unique.
pub(super) fn recording() -> BTreeMap<String, Call> {
    let lines = include_str!("../../../../../proto/tests/recordings/stock-core-2.0.1.jsonl").lines();
    let mut calls = BTreeMap::new();
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["kind"] != "call" {
            continue;
        }
        let bytes = |field: &str| unhex(line[field].as_str().unwrap());
        let call = Call { request: bytes("request_hex"), reply: bytes("reply_hex") };
        let name = line["name"].as_str().unwrap().to_owned();
        assert!(calls.insert(name, call).is_none(), "two calls of one name: {line}");
    }
    calls
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn pool() -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/proto");
    let files = protox::compile(["defguard/proxy.proto"], [root]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

/// The settings of the recorded Core, as far as ours has them.
fn set(instance: &mut Instance) {
    instance.mail = MailUse::On;
    "Defguard".clone_into(&mut instance.name);
    "http://localhost:18080/".clone_into(&mut instance.public_url);
    "Welcome, Joe. This is a recorded instance.".clone_into(&mut instance.final_text);
}

async fn add_location(core: &Core, name: &str, range: &str, public_key: &str) {
    let form = LocationForm { public_key: public_key.to_owned(), ..location_form(name, &[range]) };
    let new = NewLocation::try_from(form).unwrap();
    let add = core.store.write(move |tx| Box::pin(async move { location::add(tx, &new, &cli()).await }));
    add.await.unwrap();
}

/// Puts our tokens and codes where the recorded ones stand.
fn replace(message: &mut DynamicMessage, known: &HashMap<String, String>) {
    for (_, value) in message.fields_mut() {
        if let Value::Message(inner) = value {
            replace(inner, known);
        } else if let Value::String(text) = value
            && let Some(ours) = known.get(text)
        {
            text.clone_from(ours);
        }
    }
}

fn token_in(payload: &Payload) -> Option<String> {
    if let Payload::DeviceConfig(config) = payload {
        config.token.clone()
    } else if let Payload::ClientMfaStart(started) = payload {
        Some(started.token.clone())
    } else {
        None
    }
}
