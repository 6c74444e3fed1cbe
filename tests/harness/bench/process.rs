//! What the kernel says of a process.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// `USER_HZ`: the unit in which Linux shows processor time to programs, on every architecture we ship.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of a process with all its threads, those that have ended included.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the measured process has ended")?;
    ticks(&stat).map(|ticks| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)).context("/proc/PID/stat")
}

/// The same of a process and those it started, those that have ended included.
pub fn processor_time_of_family(pid: u32) -> Result<Duration> {
    let ended = fs::read_to_string(format!("/proc/{pid}/stat")).context("the measured process has ended")?;
    let ended = ticks_of_ended(&ended).context("/proc/PID/stat")?;
    let ended = Duration::from_millis(ended * 1000 / TICKS_PER_SECOND);
    // One that ends between two looks is among those that have ended, or will be at the next look.
    let living = family(pid)?.into_iter().filter_map(|pid| processor_time(pid).ok()).sum::<Duration>();
    Ok(living + ended)
}

/// Memory in use (`VmRSS`), in KiB.
pub fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the measured process has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")
}

/// A process and the processes it started, such as NGINX and its workers.
pub fn family(pid: u32) -> Result<Vec<u32>> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).context("the process has ended")?;
    std::iter::once(Ok(pid)).chain(children.split_whitespace().map(|child| Ok(child.parse()?))).collect()
}

/// utime and stime are the 14th and 15th field.
fn ticks(stat: &str) -> Option<u64> {
    two_fields(stat, 14)
}

/// cutime and cstime, the 16th and 17th: of children that were waited for.
fn ticks_of_ended(stat: &str) -> Option<u64> {
    two_fields(stat, 16)
}

/// The 2nd field is a name that may hold anything, in brackets.
fn two_fields(stat: &str, first: usize) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(first - 3);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}
