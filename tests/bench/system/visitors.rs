//! Files between the process that seeds and those that load: one visitor on each line.

use std::{
    fs,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};

/// A person who has enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) polling_token: String,
    pub(crate) public_key: String,
    /// Of the authenticator app, in base32.
    pub(crate) seed: String,
    /// A location with MFA that the device is in.
    pub(crate) location: i64,
}

/// A person with a token who has not enrolled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invited {
    pub(crate) token: String,
}

impl Member {
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().context("a member's line has four words");
        Ok(Self { polling_token: word()?, public_key: word()?, seed: word()?, location: word()?.parse()? })
    }

    pub(crate) fn line(&self) -> String {
        let Self { polling_token, public_key, seed, location } = self;
        format!("{polling_token} {public_key} {seed} {location}")
    }
}

impl Invited {
    pub(crate) fn parse(line: &str) -> Result<Self> {
        Ok(Self { token: line.to_owned() })
    }

    pub(crate) fn line(&self) -> String {
        self.token.clone()
    }
}

pub(crate) fn write(path: &Path, lines: impl IntoIterator<Item = String>) -> Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

/// Reads `count` visitors from the line numbered `first` on.
pub(crate) fn read<T>(path: &Path, first: usize, count: usize, parse: fn(&str) -> Result<T>) -> Result<Vec<T>> {
    let text = fs::read_to_string(path)?;
    let visitors: Vec<T> = text.lines().skip(first).take(count).map(parse).collect::<Result<_>>()?;
    ensure!(visitors.len() == count, "{} has no {count} visitors from line {first} on", path.display());
    Ok(visitors)
}
