//! `postern-core …` as an administrator runs it beside a running Core.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{process, programs::program, secrets};

/// Where that Core is, in its settings.
#[derive(Debug, Clone)]
pub struct Commands {
    environment: Vec<(String, String)>,
    /// A program and its first arguments, where it is not `postern-core` of this build.
    through: Vec<String>,
}

impl Commands {
    pub fn new(environment: Vec<(String, String)>) -> Self {
        Self { environment, through: Vec::new() }
    }

    /// For a Core that another program reaches: `docker exec core-1 /postern-core`.
    pub fn through(program: Vec<String>, environment: Vec<(String, String)>) -> Self {
        Self { environment, through: program }
    }

    /// With a setting in place of that Core's own.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((format!("POSTERN_CORE__{name}"), value.to_owned()));
        self
    }

    /// For a Core that takes commands on this socket.
    pub fn at(socket: &Path) -> Self {
        Self::new(vec![("POSTERN_CORE__SOCKET".to_owned(), socket.display().to_string())])
    }

    /// What `--json` printed; fails when the command fails.
    pub async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.text(&[arguments, &["--json"]].concat()).await?;
        let value = serde_json::from_str(&printed)
            .with_context(|| format!("postern-core {arguments:?} printed no JSON: {printed}"))?;
        secrets::remember_fields(&value);
        Ok(value)
    }

    /// What was printed for people; fails when the command fails.
    pub async fn text(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command()?
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run postern-core")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "postern-core {arguments:?}: {} {said}", output.status);
        String::from_utf8(output.stdout).with_context(|| format!("postern-core {arguments:?} printed no text"))
    }

    fn command(&self) -> Result<tokio::process::Command> {
        let Some((first, rest)) = self.through.split_first() else {
            return Ok(process::command(&program("postern-core")?).into());
        };
        let mut command = tokio::process::Command::new(first);
        command.args(rest);
        Ok(command)
    }

    /// A new person and a token that works now.
    pub async fn invite(&self, login: &str) -> Result<String> {
        let mail = format!("{login}@example.org");
        self.json(&["user", "add", login, "--email", &mail, "--first-name", "Joe", "--last-name", "Doe"]).await?;
        self.token_for(login).await
    }

    /// One more token, for a person who is known.
    pub async fn token_for(&self, login: &str) -> Result<String> {
        let invitation = self.json(&["user", "enroll", login]).await?;
        Ok(invitation["token"].as_str().context("user enroll gave no token")?.to_owned())
    }

    /// A location with this `--mfa`, whose network is `10.<number>.0.0/16`.
    pub async fn add_location(&self, name: &str, number: u8, mfa: &str) -> Result<()> {
        let key = crate::enrollment::public_key()?;
        let (endpoint, address) =
            (format!("vpn.example.org:{}", 51_000 + u16::from(number)), format!("10.{number}.0.1/16"));
        let (allowed, add) = (format!("10.{number}.0.0/16"), ["location", "add", name, "--endpoint", &endpoint]);
        let rest = ["--address", &address, "--public-key", &key, "--allowed-ips", &allowed, "--mfa", mfa];
        self.json(&[&add[..], &rest[..]].concat()).await.map(drop)
    }
}
