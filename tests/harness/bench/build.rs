//! The shipped binaries: built here, so that what is measured is what is shipped.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::programs::repository;

/// Builds Edge and Core into the folder in which the harness looks for them, and gives that folder.
pub fn release() -> Result<PathBuf> {
    // The bench itself lies in TARGET/release/deps, whatever CARGO_TARGET_DIR says.
    let release = std::env::current_exe()?.ancestors().nth(2).context("no target folder")?.to_owned();
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "-p", "postern-edge", "-p", "postern-core", "--target-dir"])
        .arg(release.parent().context("no target folder")?)
        .current_dir(repository())
        .status()?;
    ensure!(status.success(), "the release build failed");
    Ok(release)
}
