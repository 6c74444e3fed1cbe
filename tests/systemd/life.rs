//! What becomes of a service that is killed, frozen, restarted and stopped.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postern_tests::{Client, cluster::START_LIMIT, eventually};
use serde_json::{Value, json};

use crate::{EDGE, UNITS, machine::Machine, start::comes_back};

/// In place of the unit's 20 s, to see it sooner.
const WATCHDOG: Duration = Duration::from_secs(2);
/// It pings in time, or it would be killed while it is well.
const WATCHED: Duration = Duration::from_secs(5);

pub(crate) async fn what_is_killed_comes_back(machine: &Machine, unit: &str) -> Result<String> {
    let before = machine.property(unit, "MainPID").await?;
    machine.run(&format!("kill -KILL {before}")).await?;
    let took = comes_back(machine, unit, &before, START_LIMIT).await?;
    Ok(format!("recover_ms={}", took.as_millis()))
}

/// By the watchdog; and one that is well is left alone by it.
pub(crate) async fn what_stands_still_is_replaced(machine: &Machine, unit: &str) -> Result<String> {
    let folder = format!("/run/systemd/system/{unit}.service.d");
    let shorter = format!("[Service]\\nWatchdogSec={}\\n", WATCHDOG.as_secs());
    machine
        .run(&format!("mkdir -p {folder}; printf '{shorter}' >{folder}/watchdog.conf; systemctl daemon-reload"))
        .await?;
    machine.run(&format!("systemctl restart {unit}")).await?;
    machine.edge_answers(EDGE, 200).await?;
    let before = machine.property(unit, "MainPID").await?;
    // That nothing happens to it shows in time only.
    tokio::time::sleep(WATCHED).await;
    ensure!(machine.property(unit, "MainPID").await? == before, "{unit} was killed while it was well");
    machine.run(&format!("kill -STOP {before}")).await?;
    let took = comes_back(machine, unit, &before, START_LIMIT).await?;
    ensure!(machine.journal(unit).await?.contains("Watchdog timeout"), "{unit} was ended by something else");
    machine.run(&format!("rm -r {folder}; systemctl daemon-reload; systemctl restart {unit}")).await?;
    machine.edge_answers(EDGE, 200).await?;
    Ok(format!("watchdog_s={} recover_ms={}", WATCHDOG.as_secs(), took.as_millis()))
}

/// A person's request waits for a Core that stands still when the Edge is told to stop.
pub(crate) async fn what_is_in_flight_is_answered_before_the_edge_ends(machine: &Machine) -> Result<String> {
    machine.run("postern-core user add joe --email joe@example.org").await?;
    let invitation: Value = serde_json::from_str(&machine.run("postern-core user enroll joe --json").await?)?;
    let token = invitation["token"].as_str().context("no token")?.to_owned();
    let core = machine.property("postern-core", "MainPID").await?;
    machine.run(&format!("kill -STOP {core}")).await?;
    let call = async {
        let client = Client::new(EDGE);
        client.post("/api/v1/enrollment/start", &json!({ "token": token })).await
    };
    let stop = async {
        let is_in_flight = || async { in_flight().await.is_ok_and(|requests| requests == 1.0) };
        eventually("the request is in flight", START_LIMIT, is_in_flight).await?;
        machine.run("systemctl stop --no-block postern-edge").await?;
        let is_stopping = || async { has_state(machine, "deactivating").await };
        eventually("the Edge stops", START_LIMIT, is_stopping).await?;
        machine.run(&format!("kill -CONT {core}")).await
    };
    let (reply, stopped) = tokio::join!(call, stop);
    stopped?;
    let reply = reply?;
    ensure!(reply.status == 200, "the request got {}", reply.status);
    let has_ended = || async { has_state(machine, "inactive").await };
    eventually("the Edge has ended", START_LIMIT, has_ended).await?;
    let result = machine.property("postern-edge", "Result").await?;
    ensure!(result == "success", "{result}");
    machine.run("systemctl start postern-edge").await?;
    machine.edge_answers(EDGE, 200).await?;
    Ok(format!("status={} waited_ms={}", reply.status, reply.took.as_millis()))
}

/// Nobody adopts anything again.
pub(crate) async fn both_restart_without_a_word(machine: &Machine) -> Result<String> {
    let begun = Instant::now();
    machine.run("systemctl restart postern-edge postern-core").await?;
    machine.edge_answers(EDGE, 200).await?;
    Ok(format!("ready_ms={}", begun.elapsed().as_millis()))
}

pub(crate) async fn both_stop_in_order(machine: &Machine) -> Result<String> {
    let mut figures = String::new();
    for unit in UNITS {
        let begun = Instant::now();
        machine.run(&format!("systemctl stop {unit}")).await?;
        let (state, result) = (machine.property(unit, "ActiveState").await?, machine.property(unit, "Result").await?);
        let status = machine.property(unit, "ExecMainStatus").await?;
        ensure!((&*state, &*result, &*status) == ("inactive", "success", "0"), "{unit}: {state}, {result}, {status}");
        figures += &format!("{unit}_ms={} ", begun.elapsed().as_millis());
    }
    Ok(figures)
}

async fn has_state(machine: &Machine, state: &str) -> bool {
    machine.property("postern-edge", "ActiveState").await.is_ok_and(|now| now == state)
}

/// On the Edge's tunnels, as its metrics say.
async fn in_flight() -> Result<f64> {
    let metrics = Client::new(([127, 0, 0, 1], 9464).into()).get("/metrics").await?;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let of_name = |line: &str| line.strip_prefix("postern_edge_requests_in_flight ")?.parse().ok();
    text.lines().find_map(of_name).with_context(|| format!("no such gauge: {text}"))
}
