//! Who else may knock at an Edge's door: other Cores of the same house, and those who only look like one.

use std::sync::Arc;

use super::{Authority, FakeCore, random_id};

impl FakeCore {
    /// Another process of the same Core: same CA, same certificate, same session key.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self { instance: self.instance.as_ref().map(|_| random_id()), ..self.clone() }
    }

    /// The same Core as an older version would be: it does not speak link.
    #[must_use]
    pub fn without_link(&self) -> Self {
        Self { instance: None, ..self.clone() }
    }

    /// The same CA with another client certificate: not the one that adopted.
    #[must_use]
    pub fn impostor(&self) -> Self {
        let client = Some(Arc::new(self.authority.client("Impostor")));
        Self { client, ..self.clone() }
    }

    /// Knows the Edge's CA, and shows a certificate of another one.
    #[must_use]
    pub fn stranger(&self) -> Self {
        let client = Some(Arc::new(Authority::new("Other CA").client("Stranger")));
        Self { client, ..self.clone() }
    }

    /// Shows a certificate of the right CA that is for an Edge: another adopted Edge would.
    #[must_use]
    pub fn posing_as_core(&self) -> Self {
        let client = Some(Arc::new(self.authority.server("edge-2")));
        Self { client, ..self.clone() }
    }

    /// Shows a certificate of the right CA and for its purpose whose time is over.
    #[must_use]
    pub fn expired(&self) -> Self {
        let client = Some(Arc::new(self.authority.expired_client("Any label")));
        Self { client, ..self.clone() }
    }

    /// Knows the Edge's CA, and shows no certificate.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { client: None, ..self.clone() }
    }
}
