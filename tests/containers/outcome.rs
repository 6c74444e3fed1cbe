//! What came of a check, as one line.

use std::fmt;

/// Figures, and whether they are within the target.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) check: String,
    /// `name=value`, one after the other.
    pub(crate) figures: Vec<(String, String)>,
    /// In words, without an equals sign.
    pub(crate) target: String,
    pub(crate) is_met: bool,
}

impl Outcome {
    pub(crate) fn new(check: &str, target: &str) -> Self {
        Self { check: check.to_owned(), figures: Vec::new(), target: target.to_owned(), is_met: true }
    }

    /// It could not be played to its end.
    pub(crate) fn unplayed(check: &str, error: &anyhow::Error) -> Self {
        let why = format!("{error:#}").replace('\n', " / ");
        Self { is_met: false, ..Self::new(check, "it can be played") }.figure("error", why)
    }

    #[must_use]
    pub(crate) fn figure(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.figures.push((name.to_owned(), value.to_string()));
        self
    }

    #[must_use]
    pub(crate) fn and(mut self, holds: bool) -> Self {
        self.is_met &= holds;
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check={}", self.check)?;
        for (name, value) in &self.figures {
            write!(f, " {name}={value}")?;
        }
        write!(f, " | target: {}{}", self.target, if self.is_met { "" } else { " (missed)" })
    }
}
