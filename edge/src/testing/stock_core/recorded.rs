//! What a stock Core answered when it was recorded, and what follows from it for other requests.

use std::net::IpAddr;

use postern_proto::{
    proxy::{CoreRequest, CoreResponse, core_request, core_response::Payload},
    rejection::{Code, Rejection},
};
use prost::Message as _;

const RECORDING: &str = include_str!("../../../../proto/tests/recordings/stock-core-2.0.1.jsonl");

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    Reply(Payload),
    /// There is never a reply.
    Silence,
    EndOfStream,
    /// A phone's reply, and what whoever waits for it gets.
    Approval {
        token: String,
        reply: Payload,
        result: Box<Payload>,
    },
}

struct Call {
    name: String,
    request: CoreRequest,
    reply: Payload,
}

/// All calls, in the order in which they happened.
pub(super) struct Recorded(Vec<Call>);

impl Recorded {
    pub(super) fn read() -> Self {
        let lines = RECORDING.lines().map(|line| serde_json::from_str(line).expect("each line is JSON"));
        Self(lines.filter_map(|line: serde_json::Value| call(&line)).collect())
    }

    pub(super) fn request(&self, name: &str) -> CoreRequest {
        self.0.iter().find(|call| call.name == name).expect("it was recorded").request.clone()
    }

    pub(super) fn verdict(&self, request: &CoreRequest, openid_ends_the_stream: bool) -> Verdict {
        use core_request::Payload::{
            AcmeCertificate, AuthCallback, AuthInfo, ClientMfaFinish, DevicePostureCheck, Draining, Probe, ProbeReply,
        };
        let Some(payload) = &request.payload else { return Verdict::Silence };
        // It knows none of these, or has nothing to say.
        if matches!(payload, AcmeCertificate(_) | DevicePostureCheck(_) | Probe(_) | ProbeReply(_) | Draining(_)) {
            return Verdict::Silence;
        }
        if openid_ends_the_stream && matches!(payload, AuthInfo(_) | AuthCallback(_)) {
            return Verdict::EndOfStream;
        }
        if let ClientMfaFinish(finish) = payload
            && self.is_approval(payload)
        {
            let (reply, result) = (self.reply_to(payload), Box::new(self.named("await_remote")));
            return Verdict::Approval { token: finish.token.clone(), reply, result };
        }
        Verdict::Reply(caller_refused(request).unwrap_or_else(|| self.reply_to(payload)))
    }

    /// The same request gets the same reply; another of its kind is refused as one was, if one was.
    fn reply_to(&self, payload: &core_request::Payload) -> Payload {
        let of_kind = |call: &&Call| call.request.payload.as_ref().is_some_and(|asked| asked.kind() == payload.kind());
        let alike = self.0.iter().find(|call| call.request.payload.as_ref() == Some(payload));
        let refused = || self.0.iter().filter(of_kind).find(|call| matches!(call.reply, Payload::CoreError(_)));
        let any = || self.0.iter().find(of_kind);
        let found = alike.or_else(refused).or_else(any);
        found.map_or_else(|| rejected(Code::Internal, "unexpected error"), |call| call.reply.clone())
    }

    fn is_approval(&self, payload: &core_request::Payload) -> bool {
        let approval = self.0.iter().find(|call| call.name == "mobile_approve_finish");
        approval.is_some_and(|call| call.request.payload.as_ref() == Some(payload))
    }

    fn named(&self, name: &str) -> Payload {
        self.0.iter().find(|call| call.name == name).expect("it was recorded").reply.clone()
    }
}

/// Most kinds need to know who asks.
fn caller_refused(request: &CoreRequest) -> Option<Payload> {
    use core_request::Payload::{
        ActivateUser, ClientMfaFinish, ClientMfaOidcAuthenticate, EnrollmentStart, NewDevice, PasswordReset,
        PasswordResetInit, PasswordResetStart,
    };
    let needed = matches!(
        request.payload,
        Some(
            EnrollmentStart(_)
                | ActivateUser(_)
                | NewDevice(_)
                | PasswordResetInit(_)
                | PasswordResetStart(_)
                | PasswordReset(_)
                | ClientMfaFinish(_)
                | ClientMfaOidcAuthenticate(_)
        )
    );
    let address = request.device_info.as_ref().map(|info| info.ip_address.as_str());
    match address {
        _ if !needed => None,
        None => Some(rejected(Code::Internal, "missing device info")),
        Some(text) if text.parse::<IpAddr>().is_err() => {
            Some(rejected(Code::Internal, &format!("invalid IP address: {text}")))
        }
        Some(_) => None,
    }
}

fn rejected(code: Code, text: &str) -> Payload {
    Payload::CoreError(Rejection::new(code, text).into())
}

fn call(line: &serde_json::Value) -> Option<Call> {
    let text = |field: &str| line[field].as_str();
    let request = CoreRequest::decode(&*bytes(text("request_hex")?)).expect("a recorded request");
    let reply = CoreResponse::decode(&*bytes(text("reply_hex")?)).expect("a recorded reply").payload?;
    Some(Call { name: text("name")?.to_owned(), request, reply })
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}
