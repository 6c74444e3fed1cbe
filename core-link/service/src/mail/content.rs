//! What an outbox row holds, sealed: everything that its delivery needs.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Message;
use crate::person::Person;

/// Copied from the person when the mail was written: a later change of address does not redirect what is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) to: String,
    pub(crate) login: String,
    pub(crate) first_name: String,
    pub(crate) message: Message,
}

impl Content {
    pub(crate) fn new(to: &Person, message: Message) -> Self {
        let Person { login, email, first_name, .. } = to;
        Self { to: email.clone(), login: login.clone(), first_name: first_name.clone(), message }
    }

    pub(crate) fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).expect("strings and numbers are always JSON"))
    }

    /// `None`: these bytes are no content.
    pub(crate) fn from_stored(stored: &[u8]) -> Option<Self> {
        serde_json::from_slice(stored).ok()
    }
}
