//! Processes that this program starts. Each ends with its guard.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// A running child. Dropping it kills the process and waits for its end.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    name: String,
}

impl Child {
    /// This program in another role.
    pub fn of_ourselves(role: &str, options: &[(&str, String)]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(role).args(options.iter().flat_map(|(name, value)| [*name, value]));
        Self::start(role, command.stdout(Stdio::piped()))
    }

    /// Another program, which writes to a file.
    pub fn logged(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        Self::start(name, command.stdout(log.try_clone()?).stderr(log))
    }

    fn start(name: &str, command: &mut Command) -> Result<Self> {
        let process = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { process, name: name.to_owned() })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The one line that a child in a role of ours prints.
    pub fn line(&mut self) -> Result<String> {
        let output = self.process.stdout.take().context("this child was heard already")?;
        let mut line = String::new();
        BufReader::new(output.take(4096)).read_line(&mut line)?;
        ensure!(!line.is_empty(), "{} ended without a word", self.name);
        Ok(line.trim().to_owned())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
