//! What an administrator gets wrong: each mistake is one clear line in the container's log for each start, and once it is put
//! right the stack heals by itself.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
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
const OVERRIDE: [&str; 6] = ["-p", "postern", "-f", "compose.yaml", "-f", OTHERWISE];
const OTHERWISE: &str = "otherwise.yaml";

/// The program ends and is started again a few times meanwhile.
const WATCHED: Duration = Duration::from_secs(3);

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

/// What the container's log said of it.
#[derive(Debug)]
struct Told {
    line: String,
    lines: usize,
    /// Others that are not about what goes well.
    others: usize,
    /// How often the program had begun.
    starts: usize,
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

/// Without the file there is no container, and the script that brings the stack up says why; a Core that is told of a file which
/// nobody has mounted says so itself.
pub(super) async fn absent_secret(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    let file = stack.secret("database-password");
    let aside = file.with_extension("aside");
    fs::rename(&file, &aside)?;
    let refused = stack.up().await;
    fs::rename(&aside, &file)?;
    let said = refused.err().map(|error| format!("{error:#}")).unwrap_or_default();

    let environment = "POSTERN_CORE__DATABASE_PASSWORD_FILE: /run/secrets/absent";
    let mistake = Mistake::made("absent-secret", CORES[1], "database_password_file: ");
    otherwise(stack, CORES[1], &format!("    environment:\n      {environment}\n")).await?;
    let told = mistake.told(stack).await;
    replace(stack, &SHIPPED, CORES[1]).await?;
    Ok(mistake.heals(stack, told?).await?.and(said.contains("database-password is missing")))
}

/// Of an Edge that has an identity in there.
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

/// Of an Edge that nobody has adopted yet: it would have nowhere to store an identity.
pub(super) async fn read_only_folder(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    let folder = identity_folder(stack).await?;
    let aside = stack.folder().join("identity");
    let mistake = Mistake::made("read-only-folder", EDGES[2], "cannot use the folder /var/lib/postern-edge");
    let right = fs::metadata(&folder)?.permissions();
    stack.docker(&["stop"], EDGES[2]).await?;
    move_files(&folder, &aside)?;
    fs::set_permissions(&folder, Permissions::from_mode(0o500))?;
    stack.docker(&["start"], EDGES[2]).await?;
    let told = mistake.told(stack).await;
    stack.docker(&["stop"], EDGES[2]).await?;
    fs::set_permissions(&folder, right)?;
    move_files(&aside, &folder)?;
    stack.docker(&["start"], EDGES[2]).await?;
    mistake.heals(stack, told?).await
}

pub(super) async fn no_postgres(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    stack.docker(&["stop"], "postgres").await?;
    let mistake = Mistake::made("no-postgres", CORES[1], "the database server does not answer yet");
    stack.docker(&["restart"], CORES[1]).await?;
    let told = mistake.told(stack).await;
    stack.docker(&["start"], "postgres").await?;
    mistake.heals(stack, told?).await
}

/// To a clock that is a day behind, Cores' certificates are not valid yet.
pub(super) async fn clock_behind(stage: &mut Stage<'_>) -> Result<Outcome> {
    let mistake = Mistake::made("clock-behind", EDGES[2], "not valid yet");
    other_clock(&stage.stack, "-1d", Mistake { tellers: CORES.len(), ..mistake }).await
}

/// To one that is far ahead, they have expired.
pub(super) async fn clock_ahead(stage: &mut Stage<'_>) -> Result<Outcome> {
    let mistake = Mistake::made("clock-ahead", EDGES[2], "has expired");
    other_clock(&stage.stack, "+12000d", Mistake { tellers: CORES.len(), ..mistake }).await
}

/// Nothing can be put under a program without shared libraries, so the one of this build is started in the Edge's place, on a
/// clock that libfaketime tells.
async fn other_clock(stack: &Stack<'_>, clock: &str, mistake: Mistake<'_>) -> Result<Outcome> {
    let edge = program("postern-edge")?;
    let settings = format!(
        "    image: postern-test-base\n    entrypoint: [/postern-edge]\n    command: [serve]\n    \
         user: \"{USER}:{USER}\"\n    environment:\n      LD_PRELOAD: /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1\n      \
         FAKETIME: \"{clock}\"\n      FAKETIME_DONT_FAKE_MONOTONIC: \"1\"\n    volumes: [\"{}:/postern-edge:ro\"]\n",
        edge.display()
    );
    otherwise(stack, EDGES[2], &settings).await?;
    let told = mistake.told(stack).await;
    replace(stack, &SHIPPED, EDGES[2]).await?;
    mistake.heals(stack, told?).await
}

/// A service anew, with these settings besides.
async fn otherwise(stack: &Stack<'_>, service: &str, settings: &str) -> Result<()> {
    fs::write(stack.compose_folder().join(OTHERWISE), format!("services:\n  {service}:\n{settings}"))?;
    replace(stack, &OVERRIDE, service).await
}

/// A container anew, by these files.
async fn replace(stack: &Stack<'_>, files: &[&str], service: &str) -> Result<()> {
    stack.compose(&[files, &["rm", "-sf", service]].concat()).await?;
    stack.compose(&[files, &["up", "-d", "--no-deps", service]].concat()).await.map(drop)
}

fn move_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let moved = to.join(file.file_name());
        // They may be on another file system.
        fs::copy(file.path(), &moved)?;
        std::os::unix::fs::chown(&moved, Some(USER), Some(USER))?;
        fs::remove_file(file.path())?;
    }
    Ok(())
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

    /// Once the line is there, and a while longer.
    async fn told(&self, stack: &Stack<'_>) -> Result<Told> {
        let lines = || async { self.lines(stack).await.unwrap_or_default() };
        let what = format!("{} says: {}", self.service, self.says);
        eventually(&what, PATIENCE, || async { !lines().await.is_empty() }).await?;
        tokio::time::sleep(WATCHED).await;
        let mut lines = lines().await;
        let log = stack.log_since(self.service, &self.since).await?;
        let is_other = |line: &&str| !line.contains(self.says) && !line.contains(" INFO ");
        // A heading belongs to the line under it.
        let others = log.lines().filter(is_other).filter(|line| !line.ends_with("in the configuration:"));
        let others = others.inspect(|line| eprintln!("{}: {line}", self.check)).count();
        Ok(Told { lines: lines.len(), others, line: lines.swap_remove(0), starts: self.starts(stack).await? })
    }

    async fn lines(&self, stack: &Stack<'_>) -> Result<Vec<String>> {
        let log = stack.log_since(self.service, &self.since).await?;
        Ok(log.lines().filter(|line| line.contains(self.says)).map(str::to_owned).collect())
    }

    async fn heals(self, stack: &Stack<'_>, told: Told) -> Result<Outcome> {
        let healed = stack.healthy(self.service).await? + stack.linked().await?;
        eprintln!("{}: {}", self.check, told.line);
        Ok(Outcome::new(self.check, "one line for each start that says what is wrong; heals by itself within 90 s")
            .figure("lines", told.lines)
            .figure("other_lines", told.others)
            .figure("starts", told.starts)
            .figure("healed_seconds", format!("{:.1}", healed.as_secs_f64()))
            .and(
                told.lines + 1 >= told.starts
                    && told.lines <= told.starts * self.tellers
                    && told.others == 0
                    && healed <= HEAL_MAX,
            ))
    }

    /// How often the program has begun since.
    async fn starts(&self, stack: &Stack<'_>) -> Result<usize> {
        let found = stack.inspect(self.service).await?;
        Ok(found["RestartCount"].as_u64().context("no count of restarts")?.try_into().map(|count: usize| count + 1)?)
    }
}
