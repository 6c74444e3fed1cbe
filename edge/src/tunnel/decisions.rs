//! Counters of what an Edge decides about requests. Handles are made once; a request only counts.

use metrics::{Counter, counter};

#[derive(Debug)]
pub(crate) struct Decisions {
    /// Asked again: the tunnel had ended or was full before the request was sent.
    pub(crate) retried_unsent: Counter,
    /// Asked again: Core rolled back.
    pub(crate) retried_unavailable: Counter,
    /// Asked again: Core could not say whether it had done it.
    pub(crate) retried_unknown: Counter,
    /// Asked again: the tunnel was lost.
    pub(crate) retried_lost: Counter,
    /// Asked again: Core fell silent.
    pub(crate) retried_silent: Counter,
    pub(crate) shed_polls: Counter,
    pub(crate) shed_others: Counter,
    pub(crate) penalties: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) to_other_zones: Counter,
}

impl Decisions {
    pub(super) fn new() -> Self {
        let retried = |why| counter!("postern_edge_retries_total", "why" => why);
        let shed = |kind| counter!("postern_edge_requests_shed_total", "kind" => kind);
        Self {
            retried_unsent: retried("unsent"),
            retried_unavailable: retried("unavailable"),
            retried_unknown: retried("outcome_unknown"),
            retried_lost: retried("tunnel_lost"),
            retried_silent: retried("silence"),
            shed_polls: shed("poll"),
            shed_others: shed("other"),
            penalties: counter!("postern_edge_core_penalties_total"),
            cancelled: counter!("postern_edge_requests_cancelled_total"),
            to_other_zones: counter!("postern_edge_requests_to_other_zones_total"),
        }
    }
}
