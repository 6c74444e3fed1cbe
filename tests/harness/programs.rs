//! Where the programs under test are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Path of `postern-edge` or `postern-core`: `POSTERN_TEST_BIN_DIR`, else the folder that cargo built this test into.
pub fn program(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("POSTERN_TEST_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => built_beside_this_test()?,
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!("{} is missing: run `cargo build -p postern-edge -p postern-core`", path.display());
    }
    Ok(path)
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_path_buf()
}

fn built_beside_this_test() -> Result<PathBuf> {
    let test = std::env::current_exe().context("cannot find this test's own path")?;
    let folder = test.parent().and_then(Path::parent).context("this test does not lie in a target folder")?;
    Ok(folder.to_path_buf())
}
