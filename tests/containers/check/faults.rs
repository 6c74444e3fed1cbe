//! What an administrator gets wrong: each mistake is one clear line in the container's log for each start, and once it is put
//! right the stack heals by itself.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use postern_tests::{eventually, programs::program};

use super::Stage;
use crate::{
    outcome::Outcome,
    stack::{CORES, EDGES, PATIENCE, Stack, now},
};

/// Docker waits longer after each failed start, up to a minute.
const HEAL_MAX: Duration = Duration::from_secs(90);
/// As `deploy/images` has it.
const USER: u32 = 65532;
const SHIPPED: [&str; 2] = ["-p", "postern"];
const OVERRIDE: [&str; 6] = ["-p", "postern", "-f", "compose.yaml", "-f", "other-clock.yaml"];

/// A mistake that was made at a moment.
#[derive(Debug)]
struct Mistake<'a> {
    check: &'a str,
    service: &'a str,
    since: String,
    /// A part of the line that tells of it.
    says: &'a str,
    /// How many may each bring about one line for each start.
    tellers: usize,
}

pub(super) async fn wrong_secret(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    // In place, for a container holds on to the file and not to its name.
    let file = stack.secret("database-password");
    let right = fs::read(&file)?;
    fs::write(&file, "not-the-password\n")?;
    let mistake = Mistake::made("wrong-secret", CORES[1], "refuses the user or the password");
    stack.docker(&["restart"], CORES[1]).await?;
    let told = mistake.told(stack).await;
    fs::write(&file, right)?;
    mistake.heals(stack, told?).await
}

pub(super) async fn empty_secret(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    let file = stack.secret("master.key");
    let right = fs::read(&file)?;
    fs::write(&file, "")?;
    let mistake = Mistake::made("empty-secret", CORES[1], "master key file /run/secrets/master.key");
    stack.docker(&["restart"], CORES[1]).await?;
    let told = mistake.told(stack).await;
    fs::write(&file, right)?;
    mistake.heals(stack, told?).await
}

pub(super) async fn locked_folder(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    let folder = identity_folder(stack).await?;
    let mistake = Mistake::made("locked-folder", EDGES[2], "/var/lib/postern-edge");
    let right = fs::metadata(&folder)?.permissions();
    std::os::unix::fs::chown(&folder, Some(0), Some(0))?;
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    stack.docker(&["restart"], EDGES[2]).await?;
    let told = mistake.told(stack).await;
    std::os::unix::fs::chown(&folder, Some(USER), Some(USER))?;
    fs::set_permissions(&folder, right)?;
    mistake.heals(stack, told?).await
}

pub(super) async fn no_postgres(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    stack.docker(&["stop"], "postgres").await?;
    let mistake = Mistake::made("no-postgres", CORES[1], "cannot connect to the database");
    stack.docker(&["restart"], CORES[1]).await?;
    let told = mistake.told(stack).await;
    stack.docker(&["start"], "postgres").await?;
    mistake.heals(stack, told?).await
}

/// To a clock that is a day behind, Core's certificate is not valid yet.
pub(super) async fn clock_behind(stage: &mut Stage<'_>) -> Result<Outcome> {
    other_clock(&stage.stack, "-1d", Mistake::made("clock-behind", EDGES[2], "not valid yet")).await
}

/// To one that is far ahead, it has expired.
pub(super) async fn clock_ahead(stage: &mut Stage<'_>) -> Result<Outcome> {
    other_clock(&stage.stack, "+12000d", Mistake::made("clock-ahead", EDGES[2], "has expired")).await
}

/// Nothing can be put under a program without shared libraries, so the one of this build is started in the Edge's place, on a
/// clock that libfaketime tells.
async fn other_clock(stack: &Stack<'_>, clock: &str, mistake: Mistake<'_>) -> Result<Outcome> {
    let edge = program("postern-edge")?;
    let file = format!(
        "services:\n  {}:\n    image: postern-test-base\n    entrypoint: [/postern-edge]\n    command: [serve]\n    \
         user: \"{USER}:{USER}\"\n    environment:\n      LD_PRELOAD: /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1\n      \
         FAKETIME: \"{clock}\"\n      FAKETIME_DONT_FAKE_MONOTONIC: \"1\"\n    volumes: [\"{}:/postern-edge:ro\"]\n",
        EDGES[2],
        edge.display()
    );
    fs::write(stack.compose_folder().join("other-clock.yaml"), file)?;
    replace(stack, &OVERRIDE).await?;
    let told = mistake.told(stack).await;
    replace(stack, &SHIPPED).await?;
    // Each Core is refused.
    Mistake { tellers: CORES.len(), ..mistake }.heals(stack, told?).await
}

/// One Edge anew, by these files.
async fn replace(stack: &Stack<'_>, files: &[&str]) -> Result<()> {
    stack.compose(&[files, &["rm", "-sf", EDGES[2]]].concat()).await?;
    stack.compose(&[files, &["up", "-d", "--no-deps", EDGES[2]]].concat()).await.map(drop)
}

async fn identity_folder(stack: &Stack<'_>) -> Result<PathBuf> {
    let found = stack.inspect(EDGES[2]).await?;
    let mounts = found["Mounts"].as_array().context("no mounts")?;
    let mount = mounts.iter().find(|mount| mount["Destination"] == "/var/lib/postern-edge").context("no folder")?;
    Ok(PathBuf::from(mount["Source"].as_str().context("no source")?))
}

impl<'a> Mistake<'a> {
    fn made(check: &'a str, service: &'a str, says: &'a str) -> Self {
        Self { check, service, since: now(), says, tellers: 1 }
    }

    /// The line, once it is there.
    async fn told(&self, stack: &Stack<'_>) -> Result<String> {
        let lines = || async { self.lines(stack).await.unwrap_or_default() };
        let what = format!("{} says: {}", self.service, self.says);
        eventually(&what, PATIENCE, || async { !lines().await.is_empty() }).await?;
        Ok(lines().await.swap_remove(0))
    }

    async fn lines(&self, stack: &Stack<'_>) -> Result<Vec<String>> {
        let log = stack.log_since(self.service, &self.since).await?;
        Ok(log.lines().filter(|line| line.contains(self.says)).map(str::to_owned).collect())
    }

    async fn heals(self, stack: &Stack<'_>, told: String) -> Result<Outcome> {
        let healthy = stack.healthy(self.service).await?;
        let healed = healthy + stack.linked().await?;
        let (lines, starts) = (self.lines(stack).await?.len(), self.starts(stack).await?);
        eprintln!("{}: {told}", self.check);
        Ok(Outcome::new(self.check, "one line for each start that says what is wrong; heals by itself within 90 s")
            .figure("lines", lines)
            .figure("starts", starts)
            .figure("healed_seconds", format!("{:.1}", healed.as_secs_f64()))
            .and(lines <= starts * self.tellers && healed <= HEAL_MAX))
    }

    /// How often the program has begun since.
    async fn starts(&self, stack: &Stack<'_>) -> Result<usize> {
        let found = stack.inspect(self.service).await?;
        Ok(found["RestartCount"].as_u64().context("no count of restarts")?.try_into().map(|count: usize| count + 1)?)
    }
}
