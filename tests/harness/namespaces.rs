//! Network namespaces: hosts on one machine, each with addresses, routes and packet filters of its own.
//!
//! They end with their owner. What a run left behind that was killed is found by its name, which holds the process that made
//! it, and is removed by the next run.

use std::{
    fs::{self, File},
    io::Write,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::Runtime;

use crate::process::Launch;

/// All names begin with it.
const PREFIX: &str = "postern-chaos";
/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";

static MADE: AtomicU32 = AtomicU32::new(0);

/// One host. Dropping it removes it; programs in it must have ended.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A host that is connected to nothing but itself.
    pub fn create(role: &str) -> Result<Self> {
        let serial = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{serial}-{role}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// A cable between two hosts, each end with the name that its host gives it.
    pub fn connect(&self, own_end: &str, other: &Self, other_end: &str) -> Result<()> {
        let peer = format!("peer name {other_end} netns {}", other.name);
        self.ip(&format!("link add {own_end} type veth {peer}\nlink set {own_end} up"))?;
        other.ip(&format!("link set {other_end} up"))
    }

    /// Lines for `ip`, without the word itself.
    pub fn ip(&self, lines: &str) -> Result<()> {
        feed(Command::new("ip").args(["-n", &self.name, "-batch", "-"]), lines)
    }

    /// Lines for `tc`.
    pub fn tc(&self, lines: &str) -> Result<()> {
        feed(Command::new("tc").args(["-n", &self.name, "-batch", "-"]), lines)
    }

    /// A whole script for `nft`.
    pub fn nft(&self, script: &str) -> Result<()> {
        feed(&mut self.command("nft", &["-f", "-"]), script)
    }

    /// A setting of this host's network stack.
    pub fn set(&self, sysctl: &str, value: &str) -> Result<()> {
        let script = format!("echo {value} > /proc/sys/{}", sysctl.replace('.', "/"));
        run(&mut self.command("sh", &["-c", &script]))
    }

    /// The same program, on this host. `ip` becomes the program, so its process id stays the right one.
    #[must_use]
    pub fn inside(&self, launch: Launch) -> Launch {
        let program = launch.program.display().to_string();
        let before = ["netns".to_owned(), "exec".to_owned(), self.name.clone(), program];
        let arguments = before.into_iter().chain(launch.arguments).collect();
        Launch { program: PathBuf::from("ip"), arguments, ..launch }
    }

    /// Moves the calling thread, and the threads and programs that it starts from now on, to this host.
    pub fn enter(&self) -> Result<()> {
        enter(&self.name)
    }

    /// Runs this on a thread of its own on this host, and so are the programs that it starts.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| self.enter().map(|()| work()));
            thread.join().map_err(|_| anyhow!("what was done on a host panicked"))?
        })
    }

    /// Threads on this host, for tasks that open sockets there.
    pub fn runtime(&self, threads: usize) -> Result<Runtime> {
        let name = self.name.clone();
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .on_thread_start(move || enter(&name).expect("the namespace outlives its threads"))
            .build()
            .context("no threads")
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).args(arguments);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nobody is left to tell; the next run removes what stays.
        drop(run(Command::new("ip").args(["netns", "delete", &self.name])));
    }
}

/// Ends and removes what runs left behind that were killed: their programs and their namespaces.
pub fn remove_leftovers() -> Result<()> {
    let Ok(entries) = fs::read_dir(FOLDER) else { return Ok(()) };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(owner) = owner_of(&name) else { continue };
        if Path::new("/proc").join(owner.to_string()).exists() {
            continue;
        }
        let listed = Command::new("ip").args(["netns", "pids", &name]).output().context("cannot run ip")?;
        for pid in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            // It may end by itself in between.
            drop(Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).stderr(Stdio::null()).status());
        }
        run(Command::new("ip").args(["netns", "delete", &name]))?;
    }
    Ok(())
}

fn enter(name: &str) -> Result<()> {
    let link = File::open(Path::new(FOLDER).join(name)).context("the namespace is gone")?;
    move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network)).context("cannot enter a namespace")
}

/// The process that made a namespace of ours.
fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.strip_prefix('-')?.split('-').next()?.parse().ok()
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn feed(command: &mut Command, input: &str) -> Result<()> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = started.with_context(|| format!("cannot run {command:?}"))?;
    let mut stdin = child.stdin.take().context("no way to say anything")?;
    // A program that refuses the first line may leave before it has read the last; what it says tells more.
    drop(stdin.write_all(input.as_bytes()).and_then(|()| stdin.write_all(b"\n")));
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?}: {}: {input}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_whose_it_is() {
        assert_eq!(owner_of("postern-chaos-4711-0-edge-1"), Some(4711));
        assert_eq!(owner_of("postern-chaos-x-0-edge-1"), None);
        assert_eq!(owner_of("blue"), None);
    }
}
