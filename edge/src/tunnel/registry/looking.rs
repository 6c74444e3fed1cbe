//! What a test asks of a registry, and nobody else.

use super::{super::CoreSource, TunnelRegistry};

impl TunnelRegistry {
    /// A tunnel of a Core whose instance begins like this is up, and is not avoided for its silence.
    #[must_use]
    pub fn relies_on(&self, instance: &str) -> bool {
        self.shared.view.load().all.iter().any(|tunnel| {
            let CoreSource::Instance(of) = &tunnel.source else { return false };
            of.starts_with(instance) && !tunnel.is_silent()
        })
    }
}
