//! Processor time that some programs share, limited by a cgroup made for it. Dropping it lifts the limit.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

/// So short that nobody notices the pauses.
const PERIOD: Duration = Duration::from_millis(20);
/// The kernel takes no less in a period.
const LEAST: Duration = Duration::from_millis(1);
const PREFIX: &str = "postern-chaos-";

#[derive(Debug)]
pub(crate) struct Quota {
    parent: PathBuf,
    own: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Quota {
    /// Moves these programs into a group of their own, without a limit yet.
    pub(crate) fn over(pids: impl IntoIterator<Item = u32>) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/mounts").context("no /proc")?;
        let (parent, version) = hierarchy(&mounts).context("no cgroup limits processors here")?;
        if version == Version::Two {
            write(&parent.join("cgroup.subtree_control"), "+cpu")?;
        }
        remove_leftovers(&parent);
        let own = parent.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&own).with_context(|| format!("cannot make {}", own.display()))?;
        let quota = Self { parent, own, version };
        for pid in pids {
            write(&quota.own.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(quota)
    }

    /// So much of one processor, for all together.
    pub(crate) fn limit(&self, processors: f64) -> Result<()> {
        let (period, quota) = (PERIOD.as_micros(), PERIOD.mul_f64(processors).max(LEAST).as_micros());
        match self.version {
            Version::One => {
                write(&self.own.join("cpu.cfs_period_us"), &period.to_string())?;
                write(&self.own.join("cpu.cfs_quota_us"), &quota.to_string())
            }
            Version::Two => write(&self.own.join("cpu.max"), &format!("{quota} {period}")),
        }
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let members = fs::read_to_string(self.own.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines() {
            // It may have ended in between.
            write(&self.parent.join("cgroup.procs"), pid).ok();
        }
        fs::remove_dir(&self.own).ok();
    }
}

/// Where groups are made.
fn hierarchy(mounts: &str) -> Option<(PathBuf, Version)> {
    let fields = |line: &str| -> Option<(PathBuf, Version)> {
        let mut fields = line.split(' ');
        let (folder, kind, options) = (fields.nth(1)?, fields.next()?, fields.next()?);
        let version = match kind {
            "cgroup" if options.split(',').any(|option| option == "cpu") => Version::One,
            "cgroup2" if controls_processors(Path::new(folder)) => Version::Two,
            _ => return None,
        };
        Some((PathBuf::from(folder), version))
    };
    mounts.lines().find_map(fields)
}

fn controls_processors(folder: &Path) -> bool {
    let controllers = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    controllers.split_whitespace().any(|controller| controller == "cpu")
}

/// Empty groups of runs that were killed; one that is in use stays.
fn remove_leftovers(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_dir(entry.path()).ok();
        }
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {text:?} into {}", file.display()))
}
