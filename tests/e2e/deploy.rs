//! `deploy/up` and `deploy/down`, as a person on a fresh host uses them.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use postern_tests::{
    Client, Process, enrollment::enroll, eventually, ports::Ports, process::Launch, programs::program,
    programs::repository,
};
use serde_json::Value;
use tempfile::TempDir;

const UP_WITHIN: Duration = Duration::from_secs(30);

/// A state folder and ports of its own. Dropping it runs `deploy/down`.
struct Deployment {
    state: TempDir,
    arguments: Vec<String>,
    public: SocketAddr,
    _ports: Ports,
}

#[tokio::test]
async fn a_person_enrolls_with_what_deploy_up_prints() {
    let deployment = Deployment::new();
    let begun = Instant::now();
    let printed = deployment.up_detached().await;
    let took = begun.elapsed();
    eprintln!("deploy/up --detach: ready after {took:?}");
    assert!(took < Duration::from_secs(5), "ready after {took:?}");
    let public = format!("public http://{}", deployment.public);
    assert_eq!(printed.lines().next(), Some(&*public), "{printed}");

    let up = deployment.up_json();
    assert_eq!(up["public_url"], format!("http://{}", deployment.public));
    let names: Vec<_> = up["processes"].as_array().expect("processes").iter().map(|process| &process["name"]).collect();
    assert_eq!(names, ["core", "edge-1", "edge-2", "nginx"]);
    let token = up["enrollment_token"].as_str().expect("a token");
    assert!(printed.contains(token), "{printed}");

    let enrolled = enroll(&Client::new(deployment.public), token).await.expect("the printed token enrolls a person");
    assert_eq!(enrolled.device["configs"][0]["location_mfa_mode"], 2, "{}", enrolled.device["configs"]);
}

#[tokio::test]
async fn state_survives_down_and_up_and_a_new_person_is_invited() {
    let deployment = Deployment::new();
    deployment.up_detached().await;
    let first = deployment.up_json();
    let token = first["enrollment_token"].as_str().expect("a token");
    let enrolled = enroll(&Client::new(deployment.public), token).await.expect("enroll");

    let again = deployment.run("up", &["--detach"]).await;
    assert!(!again.status.success(), "started twice");
    let pids = pids(&first);
    assert!(pids.iter().all(|pid| is_running(*pid)), "the second deploy/up ended the first");
    let down = deployment.run("down", &[]).await;
    assert!(down.status.success(), "{down:?}");
    assert!(!pids.iter().any(|pid| is_running(*pid)), "deploy/down left a process");

    deployment.up_detached().await;
    let second = deployment.up_json();
    assert_ne!(second["enrollment_login"], first["enrollment_login"]);
    let client = Client::new(deployment.public);
    let poll = serde_json::json!({ "token": enrolled.polling_token });
    assert_eq!(client.post("/api/v1/poll", &poll).await.expect("poll").status, 200, "the first device is forgotten");
    enroll(&client, second["enrollment_token"].as_str().expect("a token")).await.expect("enroll the second person");
}

#[tokio::test]
async fn ctrl_c_ends_everything_within_two_seconds() {
    let deployment = Deployment::new();
    let mut up = deployment.up_in_the_foreground().await;
    let pids = pids(&deployment.up_json());
    eventually("logs are shown", UP_WITHIN, || async { up.log().contains("\nedge-1  | ") })
        .await
        .expect("prefixed logs");

    up.signal("INT").expect("SIGINT");
    up.ended(Duration::from_secs(2)).await.expect("deploy/up ends");
    assert!(!pids.iter().any(|pid| is_running(*pid)), "a process is left:\n{}", up.log());
}

#[tokio::test]
async fn a_killed_edge_is_named_and_the_others_go_on() {
    let deployment = Deployment::new();
    let mut up = deployment.up_in_the_foreground().await;
    let processes = deployment.up_json();
    let edge = processes["processes"].as_array().expect("processes").iter().find(|one| one["name"] == "edge-1");
    let pid = edge.and_then(|edge| edge["pid"].as_u64()).expect("edge-1 has a pid");
    let killed = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));

    let named = || async { up.log().contains("deploy/up: edge-1 has ended by itself") };
    eventually("it is named", UP_WITHIN, named).await.unwrap_or_else(|error| panic!("{error}: {}", up.log()));
    let client = Client::new(deployment.public);
    enroll(&client, processes["enrollment_token"].as_str().expect("a token")).await.expect("enroll without edge-1");

    up.signal("INT").expect("SIGINT");
    up.ended(Duration::from_secs(2)).await.expect("deploy/up ends");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let deployment = Deployment::new();
    let _taken = std::net::TcpListener::bind(deployment.public).expect("the port is free");
    let refused = deployment.run("up", &["--detach"]).await;
    assert!(!refused.status.success(), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(&format!("port {} (public) is taken", deployment.public.port())), "{said}");
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_an_error_and_not_a_loop() {
    let deployment = Deployment::new();
    for (script, arguments) in [("up", ["--programs", "/nonexistent"]), ("down", ["--state", "/nonexistent"])] {
        let refused = tokio::time::timeout(UP_WITHIN, deployment.run(script, &arguments)).await;
        assert_eq!(refused.expect("it ends").status.code(), Some(1), "{script}");
    }
}

#[tokio::test]
async fn what_a_killed_nginx_leaves_behind_is_found_and_ended() {
    let deployment = Deployment::new();
    deployment.up_detached().await;
    for pid in pids(&deployment.up_json()) {
        let killed = tokio::process::Command::new("sh").arg("-c").arg(format!("kill -9 {pid}")).status().await;
        assert!(killed.is_ok_and(|status| status.success()), "kill {pid}");
    }
    assert!(deployment.accepts().await, "the workers went with their master: this proves nothing");
    let down = deployment.run("down", &[]).await;
    assert!(down.status.success(), "{down:?}");
    assert!(!deployment.accepts().await, "a worker of NGINX is left");
    deployment.up_detached().await;
}

impl Deployment {
    /// Whether somebody listens on the public port.
    async fn accepts(&self) -> bool {
        tokio::net::TcpStream::connect(self.public).await.is_ok()
    }

    fn new() -> Self {
        let mut ports = Ports::take().expect("free ports");
        let public = ports.port().expect("a port");
        let block = |count: usize, ports: &mut Ports| {
            let ports: Vec<_> = (0..count).map(|_| ports.port().expect("a port")).collect();
            ports[0].to_string()
        };
        // A path as people have them, with what a shell and NGINX take for more than letters.
        let state = tempfile::Builder::new().prefix("postern deploy [x] $pid ").tempdir().expect("a folder");
        let programs = program("postern-edge").expect("the programs are built");
        let text = |path: &Path| path.display().to_string();
        let arguments = [
            ("--state", text(state.path())),
            ("--programs", text(programs.parent().expect("a folder"))),
            ("--port", public.to_string()),
            ("--edge-port", block(2, &mut ports)),
            ("--tunnel-port", block(2, &mut ports)),
            ("--metrics-port", block(3, &mut ports)),
        ];
        let arguments = arguments.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
        Self { state, arguments, public: (Ipv4Addr::LOCALHOST, public).into(), _ports: ports }
    }

    async fn run(&self, script: &str, more: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(repository().join("deploy").join(script));
        match script {
            "up" => command.args(&self.arguments),
            _ => command.arg("--state").arg(self.state.path()),
        };
        command.args(more).output().await.expect("the script runs")
    }

    /// What `deploy/up --detach` printed.
    async fn up_detached(&self) -> String {
        let output = self.run("up", &["--detach"]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    async fn up_in_the_foreground(&self) -> Process {
        let up = Process::start_parent(self.in_the_foreground()).expect("deploy/up starts");
        let state = self.state.path().join("up.json");
        let ready = eventually("deploy/up is ready", UP_WITHIN, || async { state.exists() }).await;
        ready.unwrap_or_else(|error| panic!("{error}: {}", up.log()));
        up
    }

    fn in_the_foreground(&self) -> Launch {
        Launch {
            name: "deploy/up".to_owned(),
            program: repository().join("deploy/up"),
            arguments: self.arguments.clone(),
            environment: Vec::new(),
            log: self.state.path().join("printed.log"),
        }
    }

    fn up_json(&self) -> Value {
        let text = fs::read_to_string(self.state.path().join("up.json")).expect("up.json");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let down =
            std::process::Command::new(repository().join("deploy/down")).arg("--state").arg(self.state.path()).status();
        assert!(std::thread::panicking() || down.is_ok_and(|status| status.success()), "deploy/down failed");
    }
}

fn pids(up: &Value) -> Vec<u64> {
    let processes = up["processes"].as_array().expect("processes");
    processes.iter().map(|process| process["pid"].as_u64().expect("a pid")).collect()
}

/// A process that nobody has waited for yet is not running any more.
fn is_running(pid: u64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
