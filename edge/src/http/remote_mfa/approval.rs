//! Asks Core for a person's approval, again and again while only the way to Core fails.

use std::time::Duration;

use postern_proto::{
    proxy::AwaitRemoteMfaFinishRequest,
    rejection::{Code, Rejection},
};
use tokio::time::sleep;

use super::socket::Ending;
use crate::core_client::{CallContext, CallError, CoreClient};

/// Before Core is asked again, in milliseconds: long enough for a crowd of sockets to spread.
const PAUSE_MIN: u64 = 100;
const PAUSE_MAX: u64 = 250;

/// Asks until there is an answer. Whoever calls this sets an end: without a tunnel it goes on for ever.
///
/// The result stays with Core for a while, so an answer that was lost with its tunnel is fetched over the next one.
pub(super) async fn ask(core: &CoreClient, token: &str, context: &CallContext) -> Ending {
    loop {
        let question = AwaitRemoteMfaFinishRequest { token: token.to_owned() };
        let error = match core.wait(question, context.clone()).await {
            Ok(reply) => return Ending::Approved(reply.preshared_key),
            Err(error) => error,
        };
        if let Some(ending) = ending(error) {
            return ending;
        }
        sleep(Duration::from_millis(rand::random_range(PAUSE_MIN..=PAUSE_MAX))).await;
    }
}

/// `None` when it is worth asking again.
fn ending(error: CallError) -> Option<Ending> {
    match error {
        CallError::NoTunnel | CallError::Overloaded | CallError::TunnelLost => None,
        CallError::DeadlineExceeded => Some(Ending::Late),
        CallError::BadReply => Some(Ending::Failed),
        CallError::Rejected(rejection) => of_rejection(&rejection),
    }
}

fn of_rejection(rejection: &Rejection) -> Option<Ending> {
    match rejection.code {
        // Whether this wait began, or its result was fetched, is not known; asking again finds out.
        Code::Unavailable | Code::ResourceExhausted | Code::Unknown => None,
        Code::Aborted => Some(Ending::Replaced),
        Code::DeadlineExceeded => Some(Ending::Late),
        Code::InvalidArgument
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition => Some(Ending::Refused),
        Code::Ok | Code::Cancelled | Code::OutOfRange | Code::Unimplemented | Code::Internal | Code::DataLoss => {
            Some(Ending::Failed)
        }
    }
}
