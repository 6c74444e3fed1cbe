//! How a Core is told from others.

use std::str::FromStr;

use postern_proto::version::Zone;

/// Names one run of one Core: Edges tell its tunnels from those of another Core by it. It may say where that Core runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreInstance {
    id: String,
    zone: Option<Zone>,
}

/// A text is no instance id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an instance id has 1 to 64 visible ASCII characters")]
pub struct BadInstance;

impl CoreInstance {
    /// A new id; make one for each process.
    #[must_use]
    pub fn random() -> Self {
        Self { id: format!("{:032x}", rand::random::<u128>()), zone: None }
    }

    /// The same, in a zone: Edges of that zone prefer it.
    #[must_use]
    pub fn in_zone(self, zone: Zone) -> Self {
        Self { zone: Some(zone), ..self }
    }

    /// The id as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.id
    }

    /// Where it runs; `None` when nobody said so.
    #[must_use]
    pub fn zone(&self) -> Option<&Zone> {
        self.zone.as_ref()
    }
}

impl FromStr for CoreInstance {
    type Err = BadInstance;

    fn from_str(text: &str) -> Result<Self, BadInstance> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self { id: text.to_owned(), zone: None }) } else { Err(BadInstance) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_short_and_visible() {
        assert_eq!(CoreInstance::random().as_str().len(), 32);
        assert_ne!(CoreInstance::random(), CoreInstance::random());
        assert!("6f1c-a".parse::<CoreInstance>().is_ok());
        for bad in ["", "a b", "a\n", "ä", &"x".repeat(65)] {
            assert_eq!(bad.parse::<CoreInstance>(), Err(BadInstance));
        }
    }
}
