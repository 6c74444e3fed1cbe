//! One call, over as many tunnels as it takes.
//!
//! All attempts carry the same operation id. Another one is made only where it can do no harm: nothing was sent, Core
//! rolled back, both Cores remember operations, or the kind is harmless to repeat. Once an attempt may have had its effect,
//! nothing less than Core's word on it makes the outcome certain again.

use std::{
    future::poll_fn,
    ops::ControlFlow,
    sync::Arc,
    task::{Context, Poll},
};

use postern_proto::{proxy::core_response::Payload, rejection::Code, rpc::Repeat};
use tokio::time::Instant;

use super::{
    CallError,
    answer::{Refusal, decode},
};
use crate::tunnel::{
    Attempt, Patience, Progress, Question, SendError, Tunnel, in_flight::Lane, registry::TunnelRegistry,
};

/// Those that could not be sent included. A third one is for a Core that fails while another is away; more would
/// only multiply the load when all of them are in trouble.
const ATTEMPTS_MAX: usize = 3;

/// Numbers of tunnels begin with 1.
const NO_TUNNEL: u64 = 0;

type Settled = Result<Payload, CallError>;

/// Why another tunnel is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The one before had ended, or was full, when the request was to be sent.
    Unsent,
    /// Core could not do it, and has rolled back.
    Unavailable,
    /// Core cannot say whether it has done it.
    Unknown,
    Lost,
    /// Core has fallen silent; its reply is still waited for.
    Silence,
}

#[derive(Debug)]
pub(super) struct Asking<'a> {
    registry: &'a TunnelRegistry,
    question: Question,
    repeat: Repeat,
    attempts: [Option<Attempt>; ATTEMPTS_MAX],
    /// Numbers of the tunnels, also of those over which nothing could be sent.
    tried: [u64; ATTEMPTS_MAX],
}

/// Asks for what only a person can answer.
pub(super) async fn wait(registry: &TunnelRegistry, mut question: Question) -> Result<Payload, CallError> {
    let tunnel = registry.pick(Patience::ENDLESS)?;
    let mut attempt = tunnel.send(Lane::Waits, &mut question)?;
    loop {
        match poll_fn(|cx| attempt.poll_progress(cx)).await {
            Progress::Reply(reply) => return decode(reply),
            Progress::Lost => return Err(CallError::TunnelLost),
            // Of requests only.
            Progress::Silence => {}
        }
    }
}

impl<'a> Asking<'a> {
    pub(super) fn new(registry: &'a TunnelRegistry, question: Question, repeat: Repeat) -> Self {
        Self { registry, question, repeat, attempts: [None, None, None], tried: [NO_TUNNEL; ATTEMPTS_MAX] }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.question.deadline
    }

    /// Sends the request, unless it would wait for its turn for longer than that.
    pub(super) fn begin(&mut self, patience: Patience) -> Result<(), CallError> {
        let tunnel = self.registry.pick(patience)?;
        let Err(error) = self.send(tunnel) else { return Ok(()) };
        if error == SendError::TooLate {
            return Err(CallError::DeadlineExceeded);
        }
        if self.ask_again(Cause::Unsent) { Ok(()) } else { Err(error.into()) }
    }

    /// The first reply that settles it. To be called after [`Self::begin`].
    pub(super) async fn reply(&mut self) -> Result<Payload, CallError> {
        loop {
            let (at, progress) = poll_fn(|cx| self.poll_progress(cx)).await;
            let unsettled = match progress {
                Progress::Silence => {
                    self.ask_again(Cause::Silence);
                    continue;
                }
                Progress::Lost => {
                    self.blame(at, "the tunnel was lost");
                    self.ask_again(Cause::Lost);
                    CallError::TunnelLost
                }
                Progress::Reply(reply) => match self.judge(at, decode(reply)) {
                    ControlFlow::Break(settled) => return settled,
                    ControlFlow::Continue(unsettled) => unsettled,
                },
            };
            if !self.attempts().any(Attempt::is_waiting) {
                return Err(self.truest(unsettled));
            }
        }
    }

    /// The deadline has passed. Who has replied to nothing at all meanwhile is to blame; one slow request is no evidence.
    pub(super) fn too_late(&self) -> CallError {
        for attempt in self.attempts().filter(|attempt| attempt.is_waiting() && attempt.was_all_in_vain()) {
            attempt.tunnel().blame("nothing was replied to");
        }
        CallError::DeadlineExceeded
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<(usize, Progress)> {
        for (at, attempt) in self.attempts.iter_mut().enumerate() {
            if let Some(attempt) = attempt
                && attempt.is_waiting()
                && let Poll::Ready(progress) = attempt.poll_progress(cx)
            {
                return Poll::Ready((at, progress));
            }
        }
        Poll::Pending
    }

    /// Settled, or why not, as long as nothing else may settle it.
    fn judge(&mut self, at: usize, reply: Result<Payload, CallError>) -> ControlFlow<Settled, CallError> {
        let rejection = match reply {
            Err(CallError::Rejected(rejection)) => rejection,
            Err(_) => return ControlFlow::Break(reply),
            Ok(_) => {
                self.trust(at);
                return ControlFlow::Break(reply);
            }
        };
        match Refusal::of(&rejection) {
            Refusal::RolledBack => {
                self.blame(at, "core is unavailable");
                self.ask_again(Cause::Unavailable);
                ControlFlow::Continue(CallError::Rejected(rejection))
            }
            Refusal::NoRoom => {
                self.attempts[at].iter().for_each(|attempt| attempt.tunnel().note_no_room(self.question.shed));
                ControlFlow::Continue(CallError::Rejected(rejection))
            }
            Refusal::Unknown => {
                self.attempts[at].iter_mut().for_each(Attempt::doubt);
                self.blame(at, "core does not know what it did");
                self.ask_again(Cause::Unknown);
                ControlFlow::Continue(CallError::Rejected(rejection))
            }
            Refusal::Fault => {
                self.blame(at, "core failed");
                ControlFlow::Continue(CallError::Rejected(rejection))
            }
            Refusal::Unserved => ControlFlow::Continue(CallError::Rejected(rejection)),
            Refusal::Answer => {
                self.trust(at);
                ControlFlow::Break(Err(CallError::Rejected(rejection)))
            }
        }
    }

    /// Sends the request over another tunnel, if there is reason to and one that fits. False when nothing was sent.
    fn ask_again(&mut self, cause: Cause) -> bool {
        // Whoever else is at it may still reply.
        if self.attempts().any(|attempt| attempt.is_waiting() && !attempt.tunnel().is_silent()) {
            return false;
        }
        while let Some(tunnel) = self.next_tunnel(cause) {
            let number = tunnel.number();
            match self.send(tunnel) {
                Ok(()) => {
                    self.note(cause, number);
                    return true;
                }
                Err(SendError::TooLate) => return false,
                Err(SendError::Ended | SendError::Full) => {}
            }
        }
        false
    }

    /// Another Core before another tunnel of the same.
    fn next_tunnel(&self, cause: Cause) -> Option<Arc<Tunnel>> {
        if !self.tried.contains(&NO_TUNNEL) {
            return None;
        }
        let fits = |tunnel: &Tunnel| {
            let awake = cause != Cause::Silence || !tunnel.is_silent();
            awake && !self.tried.contains(&tunnel.number()) && self.may_ask(tunnel)
        };
        let elsewhere = |tunnel: &Tunnel| {
            fits(tunnel) && self.attempts().all(|attempt| attempt.tunnel().source() != tunnel.source())
        };
        let other_core = self.registry.pick_where(elsewhere);
        match cause {
            Cause::Unavailable | Cause::Unknown => other_core,
            Cause::Unsent | Cause::Lost | Cause::Silence => other_core.or_else(|| self.registry.pick_where(fits)),
        }
    }

    /// A repeat there takes no effect for a second time.
    fn may_ask(&self, tunnel: &Tunnel) -> bool {
        let mut uncertain = self.attempts().filter(|attempt| attempt.is_uncertain());
        match self.repeat {
            Repeat::Harmless => true,
            Repeat::Once => uncertain.all(|attempt| attempt.tunnel().speaks_link() && tunnel.speaks_link()),
        }
    }

    fn send(&mut self, tunnel: Arc<Tunnel>) -> Result<(), SendError> {
        let at = self.tried.iter().position(|number| *number == NO_TUNNEL).unwrap_or(ATTEMPTS_MAX - 1);
        self.tried[at] = tunnel.number();
        self.attempts[at] = Some(tunnel.send(Lane::Requests, &mut self.question)?);
        Ok(())
    }

    /// What may have taken effect is never reported as certainly without.
    fn truest(&self, error: CallError) -> CallError {
        let is_core_unsure = matches!(&error, CallError::Rejected(rejection) if rejection.code == Code::Unknown);
        let is_uncertain = self.attempts().any(Attempt::is_uncertain);
        if is_uncertain && !is_core_unsure { CallError::TunnelLost } else { error }
    }

    fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().flatten()
    }

    fn blame(&self, at: usize, failure: &'static str) {
        self.attempts[at].iter().for_each(|attempt| attempt.tunnel().blame(failure));
    }

    fn trust(&self, at: usize) {
        self.attempts[at].iter().for_each(|attempt| attempt.tunnel().trust());
    }

    fn note(&self, cause: Cause, tunnel: u64) {
        let decisions = self.registry.decisions();
        match cause {
            Cause::Unsent => decisions.retried_unsent.increment(1),
            Cause::Unavailable => decisions.retried_unavailable.increment(1),
            Cause::Unknown => decisions.retried_unknown.increment(1),
            Cause::Lost => decisions.retried_lost.increment(1),
            Cause::Silence => decisions.retried_silent.increment(1),
        }
        tracing::debug!(tunnel, ?cause, "a request is sent again, over another tunnel");
    }
}
