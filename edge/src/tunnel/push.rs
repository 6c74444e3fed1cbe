//! What Core sends unasked: session keys, the web certificate, probes, and that it leaves.
//!
//! A push that is unknown or wrong is counted and ignored, never fatal: a newer Core may say more.

use std::cell::Cell;

use bytes::Bytes;
use metrics::{Counter, counter};
use postern_proto::{
    link::ProbeReply,
    proxy::{CoreResponse, HttpsCerts, core_request, core_response::Payload},
};
use prost::Message as _;

pub use super::session_keys::{KeyId, KeyRing, RingError, SessionKey, SessionKeys};
use super::{Tunnel, registry::Lease};
use crate::certificate::Certificates;

/// Takes the pushes of one tunnel.
#[derive(Debug)]
pub(super) struct Pushes {
    ignored: Counter,
    refused: Counter,
    /// A refused key was logged: one line for a tunnel is enough.
    reported: Cell<bool>,
    certificates: Certificates,
}

impl Pushes {
    pub(super) fn new(certificates: Certificates) -> Self {
        Self {
            ignored: counter!("postern_edge_pushes_ignored_total"),
            refused: counter!("postern_edge_pushes_refused_total"),
            reported: Cell::new(false),
            certificates,
        }
    }

    /// An answer to a probe is handed back: it is for who asked.
    pub(super) fn take(&self, lease: &Lease, message: Bytes) -> Option<ProbeReply> {
        let Ok(message) = CoreResponse::decode(message) else {
            self.refused.increment(1);
            tracing::debug!("a push does not decode");
            return None;
        };
        let tunnel = lease.tunnel();
        match message.payload {
            // After a Purge nothing of this Core is to stay.
            Some(
                Payload::InitialInfo(_)
                | Payload::SessionKeyRing(_)
                | Payload::HttpsCerts(_)
                | Payload::ClearHttpsCerts(()),
            ) if tunnel.is_ending() => {}
            Some(Payload::InitialInfo(info)) => {
                self.report(tunnel, lease.registry().keys().add_key(&tunnel.source, &info.private_cookies_key));
            }
            Some(Payload::SessionKeyRing(ring)) => {
                self.report(tunnel, lease.registry().keys().replace(&tunnel.source, &ring));
            }
            Some(Payload::Probe(probe)) => answer(tunnel, probe.sequence),
            Some(Payload::ProbeReply(answered)) => return Some(answered),
            Some(Payload::Draining(_)) => {
                tracing::info!(tunnel = tunnel.number, "core asks for nothing new on this tunnel");
                lease.drain();
            }
            Some(Payload::HttpsCerts(sent)) => self.swap(tunnel, &sent),
            Some(Payload::ClearHttpsCerts(())) => self.certificates.clear(),
            None => self.ignored.increment(1),
            Some(
                Payload::Empty(())
                | Payload::EnrollmentStart(_)
                | Payload::DeviceConfig(_)
                | Payload::PasswordResetStart(_)
                | Payload::ClientMfaStart(_)
                | Payload::ClientMfaFinish(_)
                | Payload::CoreError(_)
                | Payload::InstanceInfo(_)
                | Payload::AuthInfo(_)
                | Payload::AuthCallback(_)
                | Payload::ClientMfaTokenValidation(_)
                | Payload::CodeMfaSetupStartResponse(_)
                | Payload::CodeMfaSetupFinishResponse(_)
                | Payload::AwaitRemoteMfaFinish(_)
                | Payload::DevicePostureCheck(_)
                | Payload::DevicePostureRejected(_),
            ) => self.refuse_reply(tunnel),
        }
        None
    }

    fn report(&self, tunnel: &Tunnel, outcome: Result<(), RingError>) {
        if let Err(error) = outcome {
            self.refused.increment(1);
            if self.reported.replace(true) {
                return;
            }
            tracing::warn!(
                tunnel = tunnel.number,
                error = &error as &dyn std::error::Error,
                "refused a session key of core"
            );
        }
    }

    fn swap(&self, tunnel: &Tunnel, sent: &HttpsCerts) {
        if let Err(error) = self.certificates.take(sent) {
            self.refused.increment(1);
            if self.certificates.is_refused_anew(sent) {
                tracing::warn!(
                    tunnel = tunnel.number,
                    error = &error as &dyn std::error::Error,
                    "refused the web certificate of core; what was served before still is"
                );
            }
        }
    }

    /// A reply without an id belongs to nobody.
    fn refuse_reply(&self, tunnel: &Tunnel) {
        self.refused.increment(1);
        tracing::debug!(tunnel = tunnel.number, "a reply came without an id");
    }
}

fn answer(tunnel: &Tunnel, sequence: u64) {
    let reply = core_request::Payload::ProbeReply(ProbeReply { sequence });
    if let Err(error) = tunnel.tell(reply) {
        // A full queue is traffic enough to show that we live.
        tracing::debug!(tunnel = tunnel.number, %error, "cannot answer a probe");
    }
}

#[cfg(test)]
mod tests {
    use postern_proto::{
        limits::SESSION_KEY_LENGTH,
        proxy::InitialInfo,
        version::{PEER_MIN, Peer},
    };
    use tokio::sync::mpsc;

    use super::{super::registry::TunnelRegistry, *};

    #[test]
    fn a_tunnel_that_ends_by_our_wish_brings_no_key_any_more() {
        let keys = SessionKeys::default();
        let registry = TunnelRegistry::new(keys.clone());
        let (outgoing, _queued) = mpsc::channel(1);
        let peer = Peer { version: PEER_MIN, speaks_link: false, instance: None, zone: None };
        let lease = registry.insert(&peer, outgoing.downgrade());
        registry.end_all();
        let info = InitialInfo { private_cookies_key: vec![1; SESSION_KEY_LENGTH] };
        let push = CoreResponse { id: 0, payload: Some(Payload::InitialInfo(info)) };
        Pushes::new(Certificates::default()).take(&lease, push.encode_to_vec().into());
        assert!(!keys.is_held());
    }
}
