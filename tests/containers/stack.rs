//! A stack of `deploy/compose`, brought up by its own script from a copy of what ships.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use postern_tests::{Client, Commands, eventually, programs::repository, traffic::people::Meeting};
use serde_json::Value;
use tokio::{process::Command, runtime::Handle};

use crate::{
    engine::{Engine, run},
    inside::Inside,
};

/// Where Compose publishes NGINX, as its file says.
pub(crate) const PUBLIC: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
pub(crate) const EDGES: [&str; 3] = ["edge-1", "edge-2", "edge-3"];
pub(crate) const CORES: [&str; 2] = ["core-1", "core-2"];
/// What a stack that comes up may take, whatever comes in between.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A copy of `deploy/` and `nginx/`, and one project on the engine.
#[derive(Debug)]
pub(crate) struct Stack<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) threads: Handle,
    folder: PathBuf,
}

/// What `deploy/compose/up` said at its end.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) public_url: String,
    pub(crate) token: String,
    pub(crate) took: Duration,
}

impl<'a> Stack<'a> {
    /// The files only; nothing runs yet.
    pub(crate) fn copy(engine: &'a Engine, threads: Handle) -> Result<Self> {
        let folder = engine.folder().join("clone");
        fs::create_dir_all(&folder)?;
        // Not what a developer keeps beside them: secrets, settings, and the state of deploy/up.
        let files = ["ls-files", "--cached", "--others", "--exclude-standard", "deploy", "nginx"];
        let copy = "git \"$@\" | tar -c -T - -f - | tar -x -f - -C \"$0\"";
        let mut shell = std::process::Command::new("bash");
        shell.args(["-o", "pipefail", "-c", copy]).arg(&folder).args(files).current_dir(repository());
        ensure!(shell.status()?.success(), "cannot copy what ships");
        fs::write(folder.join("deploy/compose/.env"), format!("POSTERN_PUBLIC_URL=http://{PUBLIC}/\n"))?;
        Ok(Self { engine, threads, folder })
    }

    pub(crate) fn compose_folder(&self) -> PathBuf {
        self.folder.join("deploy/compose")
    }

    pub(crate) fn secret(&self, name: &str) -> PathBuf {
        self.compose_folder().join("secrets").join(name)
    }

    /// Runs `deploy/compose/up` to its end.
    pub(crate) async fn up(&self) -> Result<Announced> {
        let begun = Instant::now();
        let printed =
            run(&mut self.engine.command(self.compose_folder().join("up"))).await.context("deploy/compose/up")?;
        let word = |name: &str| {
            let line = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.map(str::to_owned).with_context(|| format!("up printed no {name}: {printed}"))
        };
        Ok(Announced { public_url: word("public")?, token: word("token")?, took: begun.elapsed() })
    }

    pub(crate) async fn down(&self, arguments: &[&str]) -> Result<()> {
        run(self.engine.command(self.compose_folder().join("down")).args(arguments))
            .await
            .context("deploy/compose/down")?;
        Ok(())
    }

    /// Compose, in the folder of its files, whichever of its programs there is.
    pub(crate) async fn compose(&self, arguments: &[&str]) -> Result<String> {
        let is_plugin = self.engine.docker(&["compose", "version"]).await.is_ok();
        let mut command = self.engine.command(if is_plugin { "docker" } else { "docker-compose" });
        command.args(is_plugin.then_some("compose")).args(arguments).current_dir(self.compose_folder());
        run(&mut command).await
    }

    /// `docker …` for a service's container.
    pub(crate) async fn docker(&self, command: &[&str], service: &str) -> Result<String> {
        let container = self.container(service).await?;
        self.engine.docker(&[command, &[container.as_str()]].concat()).await
    }

    /// The name of a service's container, also when it does not run.
    pub(crate) async fn container(&self, service: &str) -> Result<String> {
        let label = format!("label=com.docker.compose.service={service}");
        let found = self.engine.docker(&["ps", "--all", "--filter", &label, "--format", "{{.Names}}"]).await?;
        let name = found.lines().next().with_context(|| format!("there is no container of {service}"))?;
        Ok(name.to_owned())
    }

    pub(crate) async fn inspect(&self, service: &str) -> Result<Value> {
        let printed = self.docker(&["inspect"], service).await?;
        let mut found: Value = serde_json::from_str(&printed)?;
        Ok(found[0].take())
    }

    /// The first process of a service's container.
    pub(crate) async fn inside(&self, service: &str) -> Result<Inside> {
        let found = self.inspect(service).await?;
        let pid = found["State"]["Pid"].as_i64().filter(|pid| *pid > 0);
        Ok(Inside { pid: pid.with_context(|| format!("{service} does not run"))? })
    }

    /// Its addresses, by the names of networks without their project.
    pub(crate) async fn addresses(&self, service: &str) -> Result<BTreeMap<String, Ipv4Addr>> {
        let found = self.inspect(service).await?;
        let networks = found["NetworkSettings"]["Networks"].as_object().context("no networks")?;
        let address = |(name, network): (&String, &Value)| {
            let short = name.rsplit(['_', '-']).next().unwrap_or(name).to_owned();
            anyhow::Ok((short, network["IPAddress"].as_str().context("no address")?.parse()?))
        };
        networks.iter().map(address).collect()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(PUBLIC)
    }

    /// An administrator inside a Core's container.
    pub(crate) async fn commands(&self, core: &str) -> Result<Commands> {
        let container = self.container(core).await?;
        let program = ["docker", "exec", &container, "/postern-core"].map(str::to_owned).to_vec();
        Ok(Commands::through(program, vec![("DOCKER_HOST".to_owned(), self.engine.address())]))
    }

    /// For people who call through the published port.
    pub(crate) async fn meeting(&self) -> Result<Meeting> {
        let commands = self.commands("core-1").await?;
        Ok(Meeting { commands, client: self.client(), threads: self.threads.clone() })
    }

    /// Waits until Docker calls it healthy.
    pub(crate) async fn healthy(&self, service: &str) -> Result<Duration> {
        eventually(&format!("{service} is healthy"), PATIENCE, || async {
            self.inspect(service).await.is_ok_and(|found| found["State"]["Health"]["Status"] == "healthy")
        })
        .await
    }

    /// Waits until an Edge has a tunnel.
    pub(crate) async fn ready(&self, edge: &str) -> Result<Duration> {
        eventually(&format!("{edge} has a tunnel"), PATIENCE, || async {
            let Ok(inside) = self.inside(edge).await else { return false };
            inside.metric(9464, "postern_edge_tunnels").is_ok_and(|tunnels| tunnels > 0.0)
        })
        .await
    }

    /// Waits until every Edge has a tunnel of every Core.
    pub(crate) async fn linked(&self) -> Result<Duration> {
        let begun = Instant::now();
        for edge in EDGES {
            eventually(&format!("{edge} has a tunnel of every Core"), PATIENCE, || async {
                let Ok(inside) = self.inside(edge).await else { return false };
                inside.metric(9464, "postern_edge_tunnels").is_ok_and(|tunnels| tunnels == CORES.len() as f64)
            })
            .await?;
        }
        Ok(begun.elapsed())
    }

    /// What a container has written since this moment.
    pub(crate) async fn log_since(&self, service: &str, since: &str) -> Result<String> {
        let container = self.container(service).await?;
        let mut logs: Command = self.engine.command("docker");
        let output = logs.args(["logs", "--since", since, &container]).output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(text(&output.stdout) + &text(&output.stderr))
    }

    /// The ends of all logs.
    pub(crate) async fn last_words(&self) -> String {
        let names = self.engine.docker(&["ps", "--all", "--format", "{{.Names}}"]).await.unwrap_or_default();
        let mut words = self.engine.docker(&["ps", "--all"]).await.unwrap_or_default();
        for name in names.lines() {
            let output = self.engine.command("docker").args(["logs", "--tail", "6", name]).output().await;
            let Ok(output) = output else { continue };
            for line in [output.stdout, output.stderr].iter().flat_map(|text| text.split(|byte| *byte == b'\n')) {
                words += &format!("{name:>20} | {}\n", String::from_utf8_lossy(line));
            }
        }
        words
    }

    /// A folder of its own for a person's files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The moment, as Docker takes it.
pub(crate) fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}
