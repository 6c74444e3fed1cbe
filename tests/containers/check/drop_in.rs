//! Our Edge in a stock Compose file, by the override that ships.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use postern_tests::{eventually, programs::repository};

use super::Stage;
use crate::{
    outcome::Outcome,
    person::Person,
    stack::{CORES, PATIENCE, PUBLIC, Stack},
};

const FILES: [&str; 8] = ["--env-file", ".env", "-f", "stock/docker-compose.yaml", "-f", "drop-in.yaml", "-p", "stock"];
const EDGE: &str = "edge";
/// By the name that Compose gives it.
const ADDRESS: &str = "edge:50051";

pub(super) async fn bring_up(stack: &Stack<'_>) -> Result<()> {
    let folder = stack.compose_folder().join("stock");
    fs::create_dir_all(&folder)?;
    fs::copy(repository().join("tests/containers/stock/docker-compose.yaml"), folder.join("docker-compose.yaml"))?;
    compose(stack, &["up", "-d"]).await?;
    stack.healthy(EDGE).await?;
    stack.healthy(CORES[0]).await?;
    let commands = stack.commands(CORES[0]).await?;
    commands.json(&["edge", "add", ADDRESS, "--name", EDGE]).await?;
    commands.add_location("Office", 77, "internal").await
}

pub(super) async fn clear(stack: &Stack<'_>) -> Result<()> {
    compose(stack, &["down", "-v"]).await
}

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    stack.ready(EDGE).await?;
    let token = stack.commands(CORES[0]).await?.invite("stock").await?;
    let jar = stack.folder().join("stock.cookies");
    let mut person = Person::enroll(&format!("http://{PUBLIC}"), &token, &jar).await?;
    person.log_in().await?;
    let files = identity(stack).await?;
    let begun = std::time::Instant::now();
    compose(stack, &["down"]).await?;
    compose(stack, &["up", "-d"]).await?;
    stack.ready(EDGE).await?;
    eventually("the device polls again", PATIENCE, || async { person.poll().await.is_ok() }).await?;
    let took: Duration = begun.elapsed();
    ensure!(identity(stack).await? == files, "the identity has changed");
    Ok(Outcome::new(
        "drop-in",
        "a person enrolls and logs in at the stock port; the identity in the stock folder stays",
    )
    .figure("identity_files", files.len())
    .figure("down_and_up_seconds", format!("{:.1}", took.as_secs_f64()))
    .and(files.len() >= 4))
}

/// Names and contents of what lies in the stock folder.
async fn identity(stack: &Stack<'_>) -> Result<Vec<(std::ffi::OsString, Vec<u8>)>> {
    let folder = stack.engine.docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", "stock_certs"]).await?;
    let mut files = Vec::new();
    for file in fs::read_dir(folder.trim())? {
        let file = file?;
        if file.file_type()?.is_file() {
            files.push((file.file_name(), fs::read(file.path())?));
        }
    }
    files.sort();
    Ok(files)
}

async fn compose(stack: &Stack<'_>, arguments: &[&str]) -> Result<()> {
    stack.compose(&[&FILES[..], arguments].concat()).await.map(drop)
}
