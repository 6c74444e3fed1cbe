//! Two segments as two projects, whose only common network is the one across which Cores dial.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use postern_tests::eventually;

use super::Stage;
use crate::{
    engine::run,
    outcome::Outcome,
    person::Person,
    stack::{CORES, EDGES, PATIENCE, PUBLIC, Stack},
};

const DMZ: [&str; 6] = ["--env-file", ".env", "-f", "segmented/dmz.yaml", "-p", "postern-dmz"];
const INTRANET: [&str; 6] = ["--env-file", ".env", "-f", "segmented/intranet.yaml", "-p", "postern-intranet"];
const NETWORK: &str = "postern-tunnel";

pub(super) async fn bring_up(stack: &Stack<'_>) -> Result<()> {
    let hidden = ["--opt", "com.docker.network.bridge.inhibit_ipv4=true"];
    let create = [&["network", "create", "--internal"], &hidden[..], &["--subnet", "10.150.3.0/24", NETWORK]].concat();
    stack.engine.docker(&create).await?;
    let mut make = stack.engine.command(stack.compose_folder().join("make-secrets"));
    run(make.env("COMPOSE_PROJECT_NAME", "postern-intranet")).await?;
    for segment in [DMZ, INTRANET] {
        stack.compose(&[&segment[..], &["up", "-d"]].concat()).await?;
    }
    stack.healthy(CORES[1]).await?;
    let commands = stack.commands(CORES[0]).await?;
    for (number, edge) in EDGES.iter().enumerate() {
        stack.healthy(edge).await?;
        let address = format!("10.150.3.{}:50051", 11 + number);
        commands.json(&["edge", "add", &address, "--name", edge]).await?;
    }
    commands.add_location("Office", 77, "internal").await?;
    stack.linked().await.map(drop)
}

pub(super) async fn clear(stack: &Stack<'_>) -> Result<()> {
    for segment in [DMZ, INTRANET] {
        stack.compose(&[&segment[..], &["down", "-v"]].concat()).await?;
    }
    stack.engine.docker(&["network", "rm", NETWORK]).await?;
    fs::remove_dir_all(stack.compose_folder().join("secrets"))?;
    Ok(())
}

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    let shared = shared_networks(stack).await?;
    let token = stack.commands(CORES[0]).await?.invite("segmented").await?;
    let jar = stack.folder().join("segmented.cookies");
    let mut person = Person::enroll(&format!("http://{PUBLIC}"), &token, &jar).await?;
    person.log_in().await?;
    let dmz = restart(stack, DMZ, &person).await?;
    let intranet = restart(stack, INTRANET, &person).await?;
    person.log_in().await?;
    Ok(Outcome::new(
        "segmented",
        "the projects share the tunnel network only; each is restarted while the other runs, and the person goes on",
    )
    .figure("shared_networks", shared.iter().cloned().collect::<Vec<_>>().join(","))
    .figure("dmz_restart_seconds", format!("{:.1}", dmz.as_secs_f64()))
    .figure("intranet_restart_seconds", format!("{:.1}", intranet.as_secs_f64()))
    .and(shared == BTreeSet::from([NETWORK.to_owned()])))
}

/// Until all of it serves again.
async fn restart(stack: &Stack<'_>, segment: [&str; 6], person: &Person) -> Result<Duration> {
    let begun = Instant::now();
    stack.compose(&[&segment[..], &["restart"]].concat()).await?;
    stack.linked().await?;
    eventually("the device polls again", PATIENCE, || async { person.poll().await.is_ok() }).await?;
    Ok(begun.elapsed())
}

async fn shared_networks(stack: &Stack<'_>) -> Result<BTreeSet<String>> {
    let (mut dmz, mut intranet) = (BTreeSet::new(), BTreeSet::new());
    for (project, networks) in [("postern-dmz", &mut dmz), ("postern-intranet", &mut intranet)] {
        let filter = format!("label=com.docker.compose.project={project}");
        let listed =
            stack.engine.docker(&["ps", "--filter", &filter, "--no-trunc", "--format", "{{.Networks}}"]).await?;
        ensure!(!listed.trim().is_empty(), "{project} does not run");
        networks.extend(listed.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    Ok(dmz.intersection(&intranet).cloned().collect())
}
