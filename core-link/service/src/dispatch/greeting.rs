//! The session keys as Edges get them.

use postern_core_link::{Greeting, GreetingError};
use postern_proto::link;

use crate::session_keys::{SessionKey, SessionKeyRing};

/// What each tunnel begins with.
///
/// # Errors
/// When no Edge could use these keys.
pub fn greeting(ring: &SessionKeyRing) -> Result<Greeting, GreetingError> {
    let keys = std::iter::once(&ring.primary).chain(&ring.open_only).map(to_wire).collect();
    Greeting::new(link::SessionKeyRing { epoch: ring.epoch, primary_id: ring.primary.id.to_vec(), keys })
}

fn to_wire(key: &SessionKey) -> link::SessionKey {
    link::SessionKey { id: key.id.to_vec(), key: key.key.to_vec() }
}
