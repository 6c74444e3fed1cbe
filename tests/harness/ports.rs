//! Ports for one cluster, taken so that tests running at the same time never share one.
//!
//! They lie below the range from which the kernel takes ports for outgoing connections: a program that is restarted finds
//! its port still free.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
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
    _lock: UnixListener,
}

impl Ports {
    /// The first block that no other test holds and no other program uses.
    pub fn take() -> Result<Self> {
        for block in 0..BLOCKS {
            let first = FIRST + block * BLOCK;
            let Some(lock) = lock(first)? else { continue };
            if (first..first + BLOCK).all(is_free) {
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

/// A name that one process on this host can hold, whoever runs it and whatever its `TMPDIR` is; like the ports themselves
/// it belongs to a network namespace, and it goes with its process.
fn lock(first: u16) -> Result<Option<UnixListener>> {
    let name = SocketAddr::from_abstract_name(format!("postern-test-ports-{first}")).context("no abstract sockets")?;
    match UnixListener::bind_addr(&name) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error).context("cannot lock a block of ports"),
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_at_the_same_time_share_no_port() {
        let (mut one, mut other) = (Ports::take().unwrap(), Ports::take().unwrap());
        let ports = |ports: &mut Ports| -> Vec<_> { (0..BLOCK).map(|_| ports.port().unwrap()).collect() };
        let (one, other) = (ports(&mut one), ports(&mut other));
        assert!(one.iter().all(|port| !other.contains(port)), "{one:?} {other:?}");
    }
}
