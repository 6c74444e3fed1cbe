//! Ports that tests running at the same time never share, for who listens later, or again.
//!
//! They lie below the range from which the kernel takes ports for outgoing connections: a program that is restarted finds
//! its port still free. The tests of other crates include this file.

use std::{
    io::{Error, ErrorKind, Result},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{self, UnixListener},
    },
    sync::{Mutex, PoisonError},
};

const FIRST: u16 = 20_000;
const BLOCKS: u16 = 300;
const BLOCK: u16 = 40;

/// An address of loopback that nobody else is given while this process runs.
///
/// # Panics
/// When all are given away.
pub fn free_address() -> SocketAddr {
    static TAKEN: Mutex<Vec<Ports>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let port = match taken.last_mut().map(Ports::port) {
        Some(Ok(port)) => port,
        _ => {
            let mut more = Ports::take().expect("a free block of ports");
            let port = more.port().expect("a new block has a port");
            taken.push(more);
            port
        }
    };
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A block of ports, ours until it is dropped.
#[derive(Debug)]
pub struct Ports {
    next: u16,
    end: u16,
    _lock: UnixListener,
}

impl Ports {
    /// The first block that no other test holds and no other program uses.
    ///
    /// # Errors
    /// When there is none.
    pub fn take() -> Result<Self> {
        for block in 0..BLOCKS {
            let first = FIRST + block * BLOCK;
            let Some(lock) = lock(first)? else { continue };
            if (first..first + BLOCK).all(is_free) {
                return Ok(Self { next: first, end: first + BLOCK, _lock: lock });
            }
        }
        Err(Error::other(format!("no free block of {BLOCK} ports from {FIRST}")))
    }

    /// One port of the block.
    ///
    /// # Errors
    /// When all are given away.
    pub fn port(&mut self) -> Result<u16> {
        if self.next == self.end {
            return Err(Error::other(format!("a block has {BLOCK} ports, and all are given away")));
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

/// A name that one process on this host can hold, whoever runs it and whatever its `TMPDIR` is; like the ports themselves
/// it belongs to a network namespace, and it goes with its process.
fn lock(first: u16) -> Result<Option<UnixListener>> {
    let name = net::SocketAddr::from_abstract_name(format!("postern-test-ports-{first}"))?;
    match UnixListener::bind_addr(&name) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn two_at_the_same_time_share_no_port() {
        let (mut one, mut other) = (Ports::take().unwrap(), Ports::take().unwrap());
        let ports = |ports: &mut Ports| -> Vec<_> { (0..BLOCK).map(|_| ports.port().unwrap()).collect() };
        let (one, other) = (ports(&mut one), ports(&mut other));
        assert!(one.iter().all(|port| !other.contains(port)), "{one:?} {other:?}");
    }

    #[test]
    fn more_than_a_block_of_addresses_are_given_and_none_twice() {
        let addresses: HashSet<_> = (0..=BLOCK).map(|_| free_address()).collect();
        assert_eq!(addresses.len(), usize::from(BLOCK) + 1);
    }
}
