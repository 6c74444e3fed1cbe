//! What Core says first on each tunnel: the keys that seal sessions.

use std::fmt;

use bytes::Bytes;
use postern_proto::{
    link::SessionKeyRing,
    proxy::{CoreResponse, InitialInfo, core_response::Payload},
    session_key,
};
use prost::Message;

/// The session keys, ready to be sent. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Greeting {
    initial_info: Bytes,
    ring: Bytes,
}

/// A ring cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GreetingError {
    /// No key has the id that is said to be the primary's.
    #[error("the primary session key is not in the ring")]
    NoPrimary,
    /// A key is too short or too long.
    #[error("a session key cannot be used")]
    Length(#[from] session_key::WrongLength),
}

impl Greeting {
    /// A stock Edge gets the ring's primary key, one of ours the whole ring.
    ///
    /// # Errors
    /// [`GreetingError`] when the primary is absent, or a key has another length than 64 bytes.
    pub fn new(ring: SessionKeyRing) -> Result<Self, GreetingError> {
        for key in &ring.keys {
            session_key::parse(&key.key)?;
        }
        let primary = ring.keys.iter().find(|key| key.id == ring.primary_id).ok_or(GreetingError::NoPrimary)?;
        let initial_info = InitialInfo { private_cookies_key: primary.key.clone() };
        Ok(Self { initial_info: push(Payload::InitialInfo(initial_info)), ring: push(Payload::SessionKeyRing(ring)) })
    }

    /// The pushes in the order in which they are sent.
    pub(crate) fn pushes(&self, speaks_link: bool) -> impl Iterator<Item = Bytes> {
        [Some(self.initial_info.clone()), speaks_link.then(|| self.ring.clone())].into_iter().flatten()
    }
}

impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Greeting(***)")
    }
}

/// A message that answers nothing.
pub(crate) fn push(payload: Payload) -> Bytes {
    CoreResponse { id: 0, payload: Some(payload) }.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use postern_proto::link::SessionKey;

    use super::*;

    fn ring(keys: &[(u8, usize)]) -> SessionKeyRing {
        SessionKeyRing {
            epoch: 1,
            primary_id: vec![1; 8],
            keys: keys.iter().map(|(id, length)| SessionKey { id: vec![*id; 8], key: vec![*id; *length] }).collect(),
        }
    }

    #[test]
    fn a_stock_edge_gets_the_primary_and_ours_the_ring_after_it() {
        let greeting = Greeting::new(ring(&[(2, 64), (1, 64)])).unwrap();

        let sent: Vec<_> = greeting.pushes(true).map(|push| CoreResponse::decode(push).unwrap()).collect();

        assert!(matches!(&sent[0].payload, Some(Payload::InitialInfo(info)) if info.private_cookies_key == [1; 64]));
        assert!(matches!(&sent[1].payload, Some(Payload::SessionKeyRing(ring)) if ring.keys.len() == 2));
        assert_eq!(greeting.pushes(false).count(), 1);
    }

    #[test]
    fn a_ring_that_no_edge_could_use_is_refused() {
        assert_eq!(Greeting::new(ring(&[])), Err(GreetingError::NoPrimary));
        assert_eq!(Greeting::new(ring(&[(2, 64)])), Err(GreetingError::NoPrimary));
        let short = session_key::WrongLength { found: 63 };
        assert_eq!(Greeting::new(ring(&[(1, 64), (2, 63)])), Err(GreetingError::Length(short)));
    }

    #[test]
    fn a_greeting_is_never_shown() {
        assert_eq!(format!("{:?}", Greeting::new(ring(&[(1, 64)])).unwrap()), "Greeting(***)");
    }
}
