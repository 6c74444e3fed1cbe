//! What is wrong with the settings, and where it stands.

use std::fmt;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag(String),
    Variable(String),
    File(String),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What is no mistake and yet worth a line in the log; never with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// Both are set, and ours counts.
    Overridden { stock: String, ours: Origin },
    /// Names of variables that a stock Edge may know.
    Ignored(Vec<String>),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overridden { stock, ours } => write!(f, "{stock} is set too, and {ours} counts"),
            Self::Ignored(names) => write!(f, "not known here, and ignored: {}", names.join(", ")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    #[error("{key}: expected {expected}, found {found:?} ({origin})")]
    Value { key: &'static str, expected: &'static str, found: String, origin: Origin },
    #[error("{key}: no such setting ({origin})")]
    Unknown { key: String, origin: Origin },
    #[error("config: cannot read {path}: {reason} ({origin})")]
    File { path: String, reason: String, origin: Origin },
    #[error("{name}: not UTF-8 (environment)")]
    NotText { name: String },
}

/// Every mistake at once; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub(super) Vec<Mistake>);

impl Mistakes {
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 mistake in the settings:")?,
            count => write!(f, "{count} mistakes in the settings:")?,
        }
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}
