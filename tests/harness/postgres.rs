//! A real Postgres: a server of its own for who stops and starts it, and one that all test processes share.
//!
//! The shared one is started by the first that needs it. Each process holds a lock while it runs, and a watcher ends the
//! server, and removes all it kept, soon after the last lock is gone, however the processes ended.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Postgres refuses to run as root; its package brings this user.
const USER: &str = "postgres";
/// Data that is thrown away need not survive a crash of the machine.
const FLEETING: &str = "-c fsync=off -c max_connections=400 -c shared_buffers=64MB";
/// As a server comes, for who measures it.
const LASTING: &str = "-c max_connections=100 -c shared_buffers=128MB";
/// Of the one user, for who comes over the network.
const PASSWORD: &str = "canary-of-postgres-1f0c";
/// Ends the server and removes its folder when nobody holds the lock.
const WATCHER: &str = r#"while sleep 3; do flock -n -x "$1/used" sh -c '"$@"' - "$2" -D "$1/data" -m immediate -w stop && break; done
rm -rf "$1/data" "$1/log""#;

/// A server in a folder, reached at a port of loopback, and at an address of its host if it has one.
#[derive(Debug, Clone)]
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    settings: &'static str,
    listens: Option<Listens>,
}

/// Where others reach a server, and who may come: with a password.
#[derive(Debug, Clone)]
pub struct Listens {
    pub address: IpAddr,
    /// In CIDR notation.
    pub network: String,
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Sessions are ended, and what they had not committed is undone.
    Fast,
    /// As in a crash: the next start recovers what was committed.
    Immediate,
}

/// An empty database on the shared server, dropped with this.
#[derive(Debug)]
pub struct Database {
    server: Postgres,
    name: String,
}

impl Postgres {
    /// A server of its own. Whoever starts it also stops it.
    ///
    /// # Errors
    /// What the programs said.
    pub fn start(folder: &Path, port: u16) -> io::Result<Self> {
        Self::start_under(FLEETING, folder, port)
    }

    /// The same, with commits that survive a crash of the machine.
    ///
    /// # Errors
    /// What the programs said.
    pub fn start_lasting(folder: &Path, port: u16) -> io::Result<Self> {
        Self::start_under(LASTING, folder, port)
    }

    fn start_under(settings: &'static str, folder: &Path, port: u16) -> io::Result<Self> {
        let server = Self { folder: folder.to_owned(), port, settings, listens: None };
        server.make()?;
        server.run_again()?;
        Ok(server)
    }

    /// The same for a network: the user `postern` comes with [`Self::password`]. To be called, like everything else of this
    /// server, on the host that has the address.
    ///
    /// # Errors
    /// What the programs said.
    pub fn start_for(folder: &Path, port: u16, listens: Listens) -> io::Result<Self> {
        let rule = format!("host all postern {} scram-sha-256\n", listens.network);
        let server = Self { folder: folder.to_owned(), port, settings: FLEETING, listens: Some(listens) };
        server.make()?;
        File::options().append(true).open(server.data().join("pg_hba.conf"))?.write_all(rule.as_bytes())?;
        server.run_again()?;
        server.execute("postgres", &format!("ALTER ROLE postern PASSWORD '{PASSWORD}'"))?;
        Ok(server)
    }

    /// After [`Self::stop`], on the same data.
    ///
    /// # Errors
    /// What the programs said.
    pub fn run_again(&self) -> io::Result<()> {
        let others = self.listens.iter().map(|listens| format!(",{}", listens.address)).collect::<String>();
        let listen = format!("-c listen_addresses=127.0.0.1{others}");
        let options = format!("{} {listen} -p {} -k {}", self.settings, self.port, self.folder.display());
        let log = self.folder.join("log");
        let mut start = unprivileged("pg_ctl");
        start.arg("-D").arg(self.data()).arg("-l").arg(log).args(["-o", &options, "-w", "start"]);
        run(&mut start)
    }

    /// Ends sessions, and then the server.
    ///
    /// # Errors
    /// What the programs said.
    pub fn stop(&self) -> io::Result<()> {
        self.end(Ending::Fast)
    }

    /// Ends the server.
    ///
    /// # Errors
    /// What the programs said.
    pub fn end(&self, ending: Ending) -> io::Result<()> {
        let mode = match ending {
            Ending::Fast => "fast",
            Ending::Immediate => "immediate",
        };
        run(unprivileged("pg_ctl").arg("-D").arg(self.data()).args(["-m", mode, "-w", "stop"]))
    }

    /// One or more statements, as the administrator.
    ///
    /// # Errors
    /// What the server said.
    pub fn execute(&self, database: &str, statements: &str) -> io::Result<String> {
        let mut psql = Command::new("psql");
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postern", "-qAt", "-v", "ON_ERROR_STOP=1"]);
        output(psql.args(["-c", statements, database]))
    }

    pub fn url(&self, database: &str) -> String {
        let own = Ipv4Addr::LOCALHOST.into();
        let address = SocketAddr::from((self.listens.as_ref().map_or(own, |listens| listens.address), self.port));
        format!("postgres://postern@{address}/{database}")
    }

    /// What is asked for who comes over the network.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The process that all others of this server belong to.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> io::Result<i32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid"))?;
        let pid = file.lines().next().and_then(|line| line.trim().parse().ok());
        pid.ok_or_else(|| io::Error::other("postmaster.pid names no process"))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        give_away(&self.folder)?;
        let mut make = unprivileged("initdb");
        make.arg("-D").arg(self.data());
        run(make.args(["-A", "trust", "-U", "postern", "--no-sync", "-E", "UTF8", "--locale", "C"]))
    }

    /// The one of all test processes of this user.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<(Postgres, File)> = OnceLock::new();
        &SHARED.get_or_init(|| Self::share().unwrap_or_else(|error| panic!("cannot start a Postgres: {error}"))).0
    }

    fn share() -> io::Result<(Self, File)> {
        let user = fs::metadata("/proc/self")?.uid();
        let folder = std::env::temp_dir().join(format!("postern-postgres-{user}"));
        fs::create_dir_all(&folder)?;
        let starting = File::options().create(true).append(true).open(folder.join("starting"))?;
        starting.lock()?;
        let used = File::options().create(true).append(true).open(folder.join("used"))?;
        used.lock_shared()?;
        let port = 20_000 + u16::try_from(user % 10_000).unwrap_or(0) + 432;
        let server = Self { folder, port, settings: FLEETING, listens: None };
        if server.execute("postgres", "SELECT 1").is_err() {
            fs::remove_dir_all(server.data()).ok();
            server.make()?;
            server.run_again()?;
            server.watch()?;
        }
        Ok((server, used))
    }

    fn watch(&self) -> io::Result<()> {
        let mut watcher = unprivileged_program(Path::new("setsid"));
        watcher.args(["sh", "-c", WATCHER, "watcher"]).arg(&self.folder).arg(program("pg_ctl"));
        watcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
    }
}

impl Database {
    /// An empty one.
    ///
    /// # Panics
    /// No Postgres can be started.
    pub fn create() -> Self {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let server = Postgres::shared().clone();
        let name = format!("test_{}_{}", std::process::id(), CREATED.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        server.execute("postgres", &create).unwrap_or_else(|error| panic!("cannot make a database: {error}"));
        Self { server, name }
    }

    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// # Errors
    /// What the server said.
    pub fn execute(&self, statements: &str) -> io::Result<String> {
        self.server.execute(&self.name, statements)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Where it cannot be dropped now, it goes with the server.
        self.server.execute("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name)).ok();
    }
}

fn unprivileged(name: &str) -> Command {
    unprivileged_program(&program(name))
}

fn unprivileged_program(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

/// The newest version that is installed, else whatever the path holds.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).max();
    newest.unwrap_or_else(|| PathBuf::from(name))
}

fn give_away(folder: &Path) -> io::Result<()> {
    if !is_root() {
        return Ok(());
    }
    let user = output(Command::new("id").args(["-u", USER]))?;
    let user = user.trim().parse().map_err(io::Error::other)?;
    chown(folder, Some(user), None)?;
    for entry in fs::read_dir(folder)? {
        chown(entry?.path(), Some(user), None)?;
    }
    Ok(())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn run(command: &mut Command) -> io::Result<()> {
    // What stays running must not hold the pipes of who reads our output.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} ended with {status}"))) }
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
