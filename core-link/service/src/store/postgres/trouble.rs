//! What an error of Postgres says: a collision, a server in trouble or gone, or a mistake of ours.

use std::sync::Arc;

use crate::store::StoreError;

/// Kinds of failure, by what may be done about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Trouble {
    /// With another transaction: the same once more may succeed.
    Conflict,
    /// With a constraint, which may be the doing of another transaction as well.
    Constraint,
    /// The session is over.
    Lost,
    /// The server cannot do it now: no memory, a full disk, a statement that took too long, a standby.
    Server,
    /// The same again would fail again.
    Ours,
}

impl Trouble {
    /// For statements before the commit, which are undone in any case.
    pub(in crate::store) fn before_commit(self, source: Arc<sqlx::Error>) -> StoreError {
        match self {
            Self::Conflict | Self::Lost | Self::Server => StoreError::Unavailable { source },
            Self::Constraint | Self::Ours => StoreError::Failed { source },
        }
    }
}

/// By SQLSTATE, whose first two characters are a class.
pub(in crate::store) fn trouble(error: &sqlx::Error) -> Trouble {
    let Some(refusal) = error.as_database_error() else { return without_answer(error) };
    let code = refusal.code().unwrap_or_default();
    match (code.get(..2).unwrap_or_default(), code.as_ref()) {
        // Serialization failure, deadlock; a lock that was not to be had within `lock_timeout`.
        ("40", _) | (_, "55P03") => Trouble::Conflict,
        ("23", _) => Trouble::Constraint,
        // What was sent makes no sense to it.
        (_, "08P01") => Trouble::Ours,
        // Shut down, crashed, starting up; idle within a transaction for too long.
        ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03") => Trouble::Lost,
        // Resources, intervention, system; a server that only reads.
        ("53" | "57" | "58", _) | (_, "25006") => Trouble::Server,
        _ => Trouble::Ours,
    }
}

/// Whether a commit that ended so has left nothing: the server refused it, and went on.
pub(super) fn is_undone_for_certain(error: &sqlx::Error) -> bool {
    match trouble(error) {
        Trouble::Conflict | Trouble::Constraint => true,
        Trouble::Lost | Trouble::Server | Trouble::Ours => false,
    }
}

fn without_answer(error: &sqlx::Error) -> Trouble {
    let is_lost = matches!(
        error,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut
    );
    if is_lost { Trouble::Lost } else { Trouble::Ours }
}
