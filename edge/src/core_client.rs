//! What HTTP handlers hold: a request in, its reply or the reason why not out.
