//! Images: ours by the script that ships, the others made here of Debian's packages, as none can be pulled everywhere.
//!
//! An image that the engine has already is taken as it is, so a stand-in costs its time once.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use postern_tests::programs::repository;

use crate::engine::{Engine, run};

/// What all stand-ins are made of.
const BASE: &str = "postern-test-base";
const PACKAGES: &str = "nginx-light,curl,postgresql-15,python3-aiosmtpd,passwd,libfaketime";
/// By the names that the Compose files use.
const STAND_INS: [(&str, &str); 3] =
    [("nginx", "nginx:stable"), ("postgres", "postgres:15"), ("mail", "axllent/mailpit:latest")];

/// Everything that the Compose files name.
pub(crate) async fn make(engine: &Engine) -> Result<()> {
    if !has(engine, BASE).await {
        make_base(engine).await?;
    }
    let folder = repository().join("tests/containers/images");
    for (file, name) in STAND_INS {
        let file = folder.join(format!("{file}.Dockerfile"));
        engine.docker(&["build", "--quiet", "--file", path(&file)?, "--tag", name, path(&folder)?]).await?;
    }
    run(&mut engine.command(repository().join("deploy/images/build"))).await.context("deploy/images/build")?;
    Ok(())
}

async fn has(engine: &Engine, image: &str) -> bool {
    engine.docker(&["image", "inspect", image]).await.is_ok()
}

async fn make_base(engine: &Engine) -> Result<()> {
    eprintln!("making the image {BASE}, once");
    let mut make = engine.command("mmdebstrap");
    make.args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}"), "bookworm", "-"]);
    let mut made = make.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run mmdebstrap")?;
    let files: Stdio = made.stdout.take().context("no output of mmdebstrap")?.try_into()?;
    run(engine.command("docker").args(["import", "-", BASE]).stdin(files)).await?;
    let status = made.wait().await?;
    ensure!(status.success(), "mmdebstrap: {status}");
    Ok(())
}

fn path(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("a path of no text")
}
