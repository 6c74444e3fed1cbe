//! Plays every stock client against what `deploy/up` starts, and prints a line for each step. `tests/play` runs it.

mod scenes;

use std::process::ExitCode;

use anyhow::{Result, bail};
use postern_tests::{Deployment, Outside};
use tokio::signal::unix::{SignalKind, signal};

use self::scenes::Stage;

#[tokio::main]
async fn main() -> ExitCode {
    // Whichever ends first, the other is dropped, and with it everything that was started.
    let ended = tokio::select! {
        played = play() => played,
        told = told_to_stop() => told,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tests/play: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn told_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn play() -> Result<()> {
    let files = tempfile::tempdir()?;
    let outside = Outside::start().await?;
    let settings = outside.core_settings(files.path())?;
    let settings: Vec<_> = settings.into_iter().map(|(key, value)| (format!("POSTERN_CORE__{key}"), value)).collect();
    let deployment = Deployment::up(&settings).await?;
    let stage = Stage::set(&deployment, outside).await?;
    let played = stage.play().await;
    deployment.down()?;
    played
}
