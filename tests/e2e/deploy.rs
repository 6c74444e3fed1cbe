//! `deploy/up` and `deploy/down`, as a person on a fresh host uses them.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use postern_tests::{
    Authenticator, Client, Process, enrollment::enroll, eventually, ports::Ports, process::Launch, programs::program,
    programs::repository,
};
use serde_json::{Value, json};
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
async fn the_printed_lines_take_a_person_into_the_location() {
    let deployment = Deployment::new();
    let printed = deployment.up_detached().await;
    let mut lines = printed.lines().filter_map(|line| line.strip_prefix("  "));
    let terminal = Terminal::new(lines.next().expect("the line that sets variables"));
    let mut calls = lines.filter(|line| line.starts_with("curl "));
    let mut call = async |answers: &[(&str, &str)]| terminal.run(calls.next().expect("one more call"), answers).await;

    assert!(call(&[]).await["instance"].is_object());
    let device = call(&[]).await;
    let seed = call(&[]).await;
    let app = Authenticator::new(seed["totp_secret"].as_str().expect("a seed")).expect("an authenticator app");
    let code = app.code_before().await.expect("a code");
    assert!(call(&[("<what the app shows for totp_secret>", &code)]).await["recovery_codes"].is_array());
    assert_eq!(call(&[]).await, json!({}));
    let polled = call(&[("<token of create_device>", device["token"].as_str().expect("a token"))]).await;
    assert_eq!(polled["device_config"]["configs"], device["configs"]);
    let session = call(&[]).await;
    let token = session["token"].as_str().expect("a token");
    let passed = call(&[("<token of client-mfa/start>", token), ("<what the app shows now>", &app.code())]).await;
    assert!(passed["preshared_key"].is_string(), "{passed}");
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
    let poll = json!({ "token": enrolled.polling_token });
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
            ("--https-port", block(2, &mut ports)),
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

/// Where a person pastes the printed lines.
struct Terminal {
    folder: TempDir,
    variables: String,
}

impl Terminal {
    /// `variables` is a line that sets some; what it works out stays as it is.
    fn new(variables: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = format!("{variables}\ndeclare -p json key");
        let output = std::process::Command::new("bash").arg("-c").arg(script).output().expect("bash runs");
        assert!(output.status.success(), "{output:?}");
        let variables = String::from_utf8(output.stdout).expect("text");
        Self { folder, variables }
    }

    /// What the line prints, after the person has put answers of earlier ones in.
    async fn run(&self, line: &str, answers: &[(&str, &str)]) -> Value {
        let mut line = line.to_owned();
        for (blank, answer) in answers {
            assert!(line.contains(blank), "no {blank} in {line}");
            line = line.replace(blank, answer);
        }
        assert!(!line.contains('<'), "something is left to fill in: {line}");
        let mut bash = tokio::process::Command::new("bash");
        bash.current_dir(self.folder.path()).arg("-c").arg(format!("{}\n{line}", self.variables));
        let output = bash.output().await.expect("bash runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {line}: {output:?}"))
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
