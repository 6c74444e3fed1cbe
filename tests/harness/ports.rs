//! Ports for one cluster, taken so that tests running at the same time never share one.
//!
//! They lie below the range from which the kernel takes ports for outgoing connections: a program that is restarted finds
//! its port still free.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::MetadataExt,
};

use anyhow::{Context, Result, bail};

const FIRST: u16 = 20_000;
const BLOCKS: u16 = 300;
const BLOCK: u16 = 40;

/// A block of ports, ours until it is dropped.
#[derive(Debug)]
pub struct Ports {
    next: u16,
    end: u16,
    _lock: File,
}

impl Ports {
    /// The first block that no other test holds and no other program uses.
    pub fn take() -> Result<Self> {
        // One folder for each user, for nobody may lock another one's files.
        let user = fs::metadata("/proc/self").context("cannot find out who runs this")?.uid();
        let folder = std::env::temp_dir().join(format!("postern-test-ports-{user}"));
        fs::create_dir_all(&folder).context("cannot make the folder of port locks")?;
        for block in 0..BLOCKS {
            let first = FIRST + block * BLOCK;
            let lock = File::create(folder.join(first.to_string())).context("cannot make a port lock")?;
            if lock.try_lock().is_ok() && (first..first + BLOCK).all(is_free) {
                return Ok(Self { next: first, end: first + BLOCK, _lock: lock });
            }
        }
        bail!("no free block of {BLOCK} ports from {FIRST}")
    }

    /// One port of the block.
    pub fn port(&mut self) -> Result<u16> {
        if self.next == self.end {
            bail!("a cluster uses at most {BLOCK} ports");
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
