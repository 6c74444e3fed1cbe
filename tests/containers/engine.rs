//! A container engine of our own, on a host of its own: its networks, rules and published ports are there and nowhere else.
//!
//! What it builds is kept between runs, in the cache folder of this user; everything else ends with it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use postern_tests::{Namespace, Process, eventually, process::Launch};
use tempfile::TempDir;
use tokio::process::Command;

/// From nothing to its first answer.
const START_MAX: Duration = Duration::from_secs(60);
/// It ends what runs first.
const END_MAX: Duration = Duration::from_secs(60);

/// Hides the folder of another host's network devices, which an engine would otherwise take for its own. Control groups, which
/// lie below it, stay.
const ON_ITS_HOST: &str = r#"mount --rbind /sys/fs/cgroup "$1" && mount -t sysfs sysfs /sys && mount --rbind "$1" /sys/fs/cgroup &&
shift && exec "$@""#;

/// Runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Engine {
    daemon: Process,
    host: Namespace,
    /// What lies beyond the host: one that listens.
    outside: TcpListener,
    _world: Namespace,
    folder: TempDir,
    /// Nobody else uses the kept files meanwhile.
    _lock: File,
}

impl Engine {
    pub(crate) async fn start() -> Result<Self> {
        let kept = kept_folder()?;
        let lock = File::options().create(true).append(true).open(kept.join("lock"))?;
        lock.lock().context("cannot wait for another run")?;
        let host = Namespace::create("containers")?;
        // Each call is a connection of its own, and its port is used again after a second.
        host.set("net.ipv4.tcp_tw_reuse", "1")?;
        host.set("net.ipv4.ip_local_port_range", "10240 65000")?;
        // As deploy/compose/README.md says: else it answers in every network for all of its addresses.
        host.set("net.ipv4.conf.all.arp_ignore", "1")?;
        let (world, outside) = connect(&host)?;
        let folder = tempfile::Builder::new().prefix("postern-containers-").tempdir()?;
        fs::create_dir(folder.path().join("cgroup"))?;
        let launch = launch(folder.path(), &kept);
        let daemon = host.within(|| Process::start_parent(launch))??;
        let mut engine = Self { daemon, host, outside, _world: world, folder, _lock: lock };
        engine.answers().await.with_context(|| last_lines(&engine.daemon.log()))?;
        engine.remove_leftovers().await?;
        Ok(engine)
    }

    pub(crate) fn host(&self) -> &Namespace {
        &self.host
    }

    /// Where somebody listens to whom the host sends what is for strangers.
    pub(crate) fn outside(&self) -> Result<SocketAddr> {
        Ok(self.outside.local_addr()?)
    }

    /// For files of this run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program that finds this engine and nothing of whoever runs the tests.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["POSTERN_", "COMPOSE_", "DOCKER_", "NGINX_IMAGE", "POSTGRES_IMAGE", "MAIL_IMAGE"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(name);
            }
        }
        command.env("DOCKER_HOST", self.address()).kill_on_drop(true);
        command
    }

    /// What `docker …` prints; fails when it fails.
    pub(crate) async fn docker(&self, arguments: &[&str]) -> Result<String> {
        run(self.command("docker").args(arguments)).await
    }

    /// Whatever was not taken down in order. Images stay, for they take long.
    pub(crate) async fn remove_leftovers(&self) -> Result<()> {
        for (list, remove) in [
            (&["ps", "--all", "--quiet"][..], ["rm", "--force"]),
            (&["volume", "ls", "--quiet"], ["volume", "rm"]),
            (&["network", "ls", "--quiet", "--filter", "type=custom"], ["network", "rm"]),
        ] {
            let left = self.docker(list).await?;
            let left: Vec<_> = left.lines().collect();
            if !left.is_empty() {
                self.docker(&[&remove[..], &left].concat()).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("docker.sock").display())
    }

    async fn answers(&mut self) -> Result<()> {
        let (socket, daemon) = (self.folder.path().join("docker.sock"), &mut self.daemon);
        eventually("the engine makes its socket", START_MAX, || {
            let is_decided = socket.exists() || !daemon.is_running();
            async move { is_decided }
        })
        .await?;
        ensure!(self.daemon.is_running(), "dockerd has ended");
        eventually("the engine answers", START_MAX, || async { self.docker(&["version"]).await.is_ok() }).await?;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // In order, for it unmounts what it has mounted; what runs on after that is killed with its handle.
        if self.daemon.signal("TERM").is_ok() {
            let begun = std::time::Instant::now();
            while self.daemon.is_running() && begun.elapsed() < END_MAX {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Succeeds when the program does, with what it printed.
pub(crate) async fn run(command: &mut Command) -> Result<String> {
    let output = command.output().await.with_context(|| format!("cannot run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?}: {} {said}", command.as_std().get_program(), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A world of one address (RFC 5737), to which the host has a route.
fn connect(host: &Namespace) -> Result<(Namespace, TcpListener)> {
    let world = Namespace::create("world")?;
    host.connect("uplink", &world, "eth0")?;
    host.ip("addr add 203.0.113.1/24 dev uplink\nroute add default via 203.0.113.2")?;
    world.ip("addr add 203.0.113.2/24 dev eth0")?;
    let outside = world.within(|| TcpListener::bind((Ipv4Addr::new(203, 0, 113, 2), 443)))??;
    Ok((world, outside))
}

fn launch(folder: &Path, kept: &Path) -> Launch {
    let own = |name: &str| folder.join(name).display().to_string();
    let arguments = [
        "--mount".to_owned(),
        "sh".to_owned(),
        "-ec".to_owned(),
        ON_ITS_HOST.to_owned(),
        "engine".to_owned(),
        own("cgroup"),
        "dockerd".to_owned(),
        format!("--host=unix://{}", own("docker.sock")),
        format!("--data-root={}", kept.join("engine").display()),
        format!("--exec-root={}", own("exec")),
        format!("--pidfile={}", own("docker.pid")),
    ];
    Launch {
        name: "dockerd".to_owned(),
        program: PathBuf::from("unshare"),
        arguments: arguments.to_vec(),
        environment: vec![("PATH".to_owned(), search_path())],
        log: folder.join("dockerd.log"),
    }
}

/// Debian keeps dockerd and iptables where only root looks.
fn search_path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn kept_folder() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = cache.or_else(home).context("neither HOME nor XDG_CACHE_HOME is set")?.join("postern/containers");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn last_lines(log: &str) -> String {
    const LINES: usize = 8;
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
