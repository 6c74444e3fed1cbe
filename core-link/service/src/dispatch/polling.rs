//! Polling. By far the most frequent request: it only reads.

use postern_core_link::Reply;
use postern_proto::{
    client_types::{InstanceInfoRequest, InstanceInfoResponse},
    proxy::core_response::Payload,
};

use super::{Dispatcher, caller::Caller, reject::Refusal as _, wire};
use crate::{device::DeviceSetup, polling::PollError, token::Token};

impl Dispatcher {
    pub(super) async fn instance_info(&self, caller: Caller, body: InstanceInfoRequest) -> Reply {
        let polled = match Token::parse(body.token) {
            Ok(token) => self.polls.ask(&token).await,
            Err(_) => Err(PollError::InvalidToken),
        };
        match polled {
            Ok(setup) => {
                self.note_poll(&setup, &caller);
                let device_config = Some(wire::device_config(&self.instance, setup, None));
                Ok(Payload::InstanceInfo(InstanceInfoResponse { device_config }))
            }
            Err(error @ (PollError::InvalidToken | PollError::Inactive)) => {
                Err(self.refuse_stranger(&error, &caller.anonymous_attempt()).await)
            }
            Err(PollError::Store(error)) => Err(error.rejection()),
        }
    }

    /// Only in memory. Where a device of a person polls, its person is no stranger.
    fn note_poll(&self, setup: &DeviceSetup, caller: &Caller) {
        if let (Some(person), Some(network)) = (setup.device.person_id, caller.network()) {
            self.recent_polls.note(person, network, self.store.now());
        }
    }
}
