//! A person, from a host where nothing has run yet; and after everything was stopped and started again.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::Stage;
use crate::{outcome::Outcome, person::Person, stack::EDGES};

pub(super) async fn first_run(stage: &mut Stage<'_>) -> Result<Outcome> {
    let (stack, announced) = (&stage.stack, stage.announced.as_ref().context("nothing was announced")?);
    let jar = stack.folder().join("cookies");
    let begun = Instant::now();
    let mut person = Person::enroll(&announced.public_url, &announced.token, &jar).await?;
    person.log_in().await?;
    person.poll().await?;
    let took = begun.elapsed();
    // With a mail to the person, over a name of the intranet.
    let commands = stack.commands("core-2").await?;
    commands.json(&["mail", "test", "joe@example.org"]).await?;
    ensure!(stack.log_since("mail", "0").await?.contains("joe@example.org"), "no mail has arrived");
    let outcome = Outcome::new(
        "first-run",
        "deploy/compose/up, then enrollment, second factor, login and poll with curl through the published port; a mail arrives",
    )
    .figure("up_seconds", format!("{:.1}", announced.took.as_secs_f64()))
    .figure("person_seconds", format!("{:.1}", took.as_secs_f64()));
    stage.person = Some(person);
    Ok(outcome)
}

pub(super) async fn down_and_up(stage: &mut Stage<'_>) -> Result<Outcome> {
    let stack = &stage.stack;
    let before = stack.commands("core-1").await?.json(&["edge", "list"]).await?;
    let begun = Instant::now();
    stack.down(&[]).await?;
    let (down, left) = (begun.elapsed(), stack.engine.docker(&["ps", "--all", "--quiet"]).await?);
    ensure!(left.trim().is_empty(), "containers are left: {left}");
    let volumes = stack.engine.docker(&["volume", "ls", "--format", "{{.Name}}"]).await?;
    ensure!(volumes.lines().count() == EDGES.len() + 1, "not one volume for each Edge and for Postgres: {volumes}");
    let again = stack.up().await?;
    let after = stack.commands("core-1").await?.json(&["edge", "list"]).await?;
    let ids = |edges: &serde_json::Value| -> Vec<_> {
        edges.as_array().into_iter().flatten().map(|edge| (edge["id"].clone(), edge["name"].clone())).collect()
    };
    ensure!(ids(&before) == ids(&after) && ids(&after).len() == EDGES.len(), "other Edges: {before} {after}");
    let person = stage.person.as_mut().context("nobody has enrolled")?;
    person.poll().await?;
    person.log_in().await?;
    Ok(Outcome::new("down-and-up", "the same person polls and logs in, the same Edges, none adopted anew")
        .figure("down_seconds", format!("{:.1}", down.as_secs_f64()))
        .figure("up_seconds", format!("{:.1}", again.took.as_secs_f64())))
}
