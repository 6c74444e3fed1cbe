//! How the units start, and what they do when they cannot.

use std::{
    net::{Ipv6Addr, SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use postern_tests::{Client, cluster::START_LIMIT, eventually};

use crate::{EDGE, UNITS, machine::Machine};

/// As README.md there says, with what an administrator must change: who Core is, and which secrets there are.
const INSTALL: &str = r#"
    cd /run/deploy/systemd
    install -D -m 644 -t /etc/postern edge.toml core.toml
    sed -i 's/^# \(smtp_\|mail_\)/\1/; $a smtp_user = "vpn"' /etc/postern/core.toml
    sed -i 's/^adoption_from = .*/adoption_from = ["127.0.0.1\/32"]/' /etc/postern/edge.toml
    cp postern-edge.service postern-core.service /etc/systemd/system/
    install -D -m 644 core-secrets.conf /etc/systemd/system/postern-core.service.d/secrets.conf
    sed -i '/database-password/d; /openid-client-secret/d' /etc/systemd/system/postern-core.service.d/secrets.conf
    umask 077
    head -c 32 /dev/urandom | base64 >/etc/postern/master.key
    echo correct-horse >/etc/postern/smtp-password
    systemctl daemon-reload
"#;

pub(crate) async fn install(machine: &Machine) -> Result<()> {
    machine.run(INSTALL).await.map(drop)
}

pub(crate) async fn the_example_settings_are_valid(machine: &Machine) -> Result<String> {
    machine.run("postern-edge serve --check-config --config /run/deploy/systemd/edge.toml").await?;
    machine.run("postern-core serve --check-config --config /run/deploy/systemd/core.toml").await?;
    Ok("files=2".to_owned())
}

pub(crate) async fn systemd_finds_no_mistake(machine: &Machine) -> Result<String> {
    let said = machine.run("systemd-analyze verify postern-edge.service postern-core.service").await?;
    ensure!(said.is_empty(), "{said}");
    Ok(format!("units={}", UNITS.len()))
}

/// `systemctl start` returns when the programs have said that they are ready.
pub(crate) async fn started_means_that_it_serves(machine: &Machine) -> Result<String> {
    let mut figures = String::new();
    for unit in UNITS {
        let begun = Instant::now();
        if let Err(error) = machine.run(&format!("systemctl start {unit}")).await {
            return Err(error.context(machine.journal(unit).await?));
        }
        figures += &format!("{unit}_ms={} ", begun.elapsed().as_millis());
    }
    let alive = Client::new(EDGE).get("/livez").await?;
    ensure!(alive.status == 200, "the Edge says {}", alive.status);
    machine.run("postern-core user list").await?;
    Ok(figures)
}

pub(crate) async fn core_adopts_the_edge(machine: &Machine) -> Result<String> {
    let begun = Instant::now();
    machine.run("postern-core edge add localhost:50051").await?;
    machine.edge_answers(EDGE, 200).await?;
    Ok(format!("ms={}", begun.elapsed().as_millis()))
}

pub(crate) async fn a_mistake_in_the_settings_is_not_tried_again(machine: &Machine) -> Result<String> {
    let broken = "cp /etc/postern/edge.toml /tmp/; echo 'grace = \"soon\"' >>/etc/postern/edge.toml";
    machine.run(&format!("{broken}; systemctl stop postern-edge; ! systemctl start postern-edge")).await?;
    let state = machine.property("postern-edge", "ActiveState").await?;
    let status = machine.property("postern-edge", "ExecMainStatus").await?;
    let said = machine.journal("postern-edge").await?;
    machine.run("mv /tmp/edge.toml /etc/postern/; systemctl start postern-edge").await?;
    machine.edge_answers(EDGE, 200).await?;
    ensure!((state.as_str(), status.as_str()) == ("failed", "78"), "{state} with status {status}");
    ensure!(said.contains("grace: expected"), "the journal does not say what is wrong: {said}");
    Ok(format!("status={status}"))
}

pub(crate) async fn a_port_is_had_when_it_is_free(machine: &Machine) -> Result<String> {
    machine.run("systemctl stop postern-edge").await?;
    let tunnel = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 50051));
    let taken = TcpListener::bind(tunnel).context("the stopped Edge still has its port")?;
    machine.run("systemctl start --no-block postern-edge").await?;
    let has_failed = || async { machine.property("postern-edge", "NRestarts").await.is_ok_and(|times| times != "0") };
    eventually("systemd tries again", START_LIMIT, has_failed).await?;
    let said = machine.journal("postern-edge").await?;
    ensure!(said.contains(&format!("cannot listen on {tunnel} for Core")), "no word of it: {said}");
    drop(taken);
    let freed = machine.edge_answers(EDGE, 200).await?;
    Ok(format!("recover_ms={}", freed.as_millis()))
}

/// An Edge without NGINX in front.
pub(crate) async fn low_ports_take_what_is_shipped_for_them(machine: &Machine) -> Result<String> {
    let listen = "mkdir -p /run/systemd/system/postern-edge.service.d
        printf '[Service]\\nEnvironment=POSTERN_EDGE__HTTP_LISTEN=127.0.0.1:80\\n' \
        >/run/systemd/system/postern-edge.service.d/listen.conf; systemctl daemon-reload";
    machine.run(&format!("{listen}; ! systemctl restart postern-edge")).await?;
    let said = machine.journal("postern-edge").await?;
    ensure!(said.contains("cannot listen on 127.0.0.1:80 for HTTP: Permission denied"), "it may without leave: {said}");
    let leave = "install -D -m 644 /run/deploy/systemd/edge-low-ports.conf \
        /etc/systemd/system/postern-edge.service.d/low-ports.conf; systemctl daemon-reload";
    machine.run(&format!("{leave}; systemctl restart postern-edge")).await?;
    machine.edge_answers(SocketAddr::new(EDGE.ip(), 80), 200).await?;
    let exposure = crate::confinement::exposure(machine, "postern-edge").await?;
    machine.run("rm -r /run/systemd/system/postern-edge.service.d /etc/systemd/system/postern-edge.service.d").await?;
    machine.run("systemctl daemon-reload; systemctl restart postern-edge").await?;
    machine.edge_answers(EDGE, 200).await?;
    Ok(format!("exposure={exposure}"))
}

/// Until it is up again after what was done to it.
pub(crate) async fn comes_back(machine: &Machine, unit: &str, before: &str, within: Duration) -> Result<Duration> {
    let is_another = || async {
        let (pid, state) = (machine.property(unit, "MainPID").await, machine.property(unit, "ActiveState").await);
        pid.is_ok_and(|pid| pid != before && pid != "0") && state.is_ok_and(|state| state == "active")
    };
    let begun = Instant::now();
    eventually(&format!("another {unit} is up"), within, is_another).await?;
    machine.edge_answers(EDGE, 200).await?;
    Ok(begun.elapsed())
}
