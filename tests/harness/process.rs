//! One program under test: started, signalled, restarted, ended; everything it says goes to a file.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::eventually;

/// What is needed to start the program, again and again.
#[derive(Debug, Clone)]
pub struct Launch {
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub log: PathBuf,
}

/// How long a program may take to end after SIGTERM before it is killed.
const ENDING_LIMIT: Duration = Duration::from_secs(2);

/// A started program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    launch: Launch,
    child: Child,
    has_children: bool,
}

impl Process {
    pub fn start(launch: Launch) -> Result<Self> {
        let child = spawn(&launch)?;
        Ok(Self { launch, child, has_children: false })
    }

    /// A program with processes of its own, which SIGKILL would orphan: dropping it asks first.
    pub fn start_parent(launch: Launch) -> Result<Self> {
        let mut process = Self::start(launch)?;
        process.has_children = true;
        Ok(process)
    }

    /// Starts the same program again after it ended.
    pub fn start_again(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("{} still runs", self.launch.name);
        }
        self.child = spawn(&self.launch)?;
        Ok(())
    }

    /// From its next start on, another value of a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.launch.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A variable that the program was started with.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.launch.environment.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, and gone when this returns.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.launch.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.launch.name))?;
        Ok(())
    }

    /// Sends a signal by name: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", self.pid())).status()?;
        if !status.success() {
            bail!("cannot send SIG{signal} to {}", self.launch.name);
        }
        Ok(())
    }

    /// Waits for the end of the program.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let name = self.launch.name.clone();
        eventually(&format!("{name} has ended"), within, || {
            let running = self.is_running();
            async move { !running }
        })
        .await?;
        self.child.wait().with_context(|| format!("cannot wait for {name}"))
    }

    /// Everything the program has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.launch.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to tell an error to, and a program that has ended already is one.
        if self.has_children && self.signal("TERM").is_ok() {
            let begun = Instant::now();
            while self.is_running() && begun.elapsed() < ENDING_LIMIT {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(launch: &Launch) -> Result<Child> {
    let log = File::options().create(true).append(true).open(&launch.log).context("cannot open a log file")?;
    command(&launch.program)
        .args(&launch.arguments)
        .envs(launch.environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", launch.program.display()))
}

/// A command that sees none of the settings of whoever runs the tests.
pub(crate) fn command(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("POSTERN_") {
            command.env_remove(key);
        }
    }
    command
}
