//! The network of a container, seen from within: images have no shell, so a thread of ours goes in.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::AsFd,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Socket, Type};

/// An answer, or a refusal, comes at once on one machine.
const PROBE_PATIENCE: Duration = Duration::from_millis(400);
/// Probes at a time, of one container.
const PROBERS: usize = 64;
const METRICS_PATIENCE: Duration = Duration::from_secs(2);
/// In `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// A container, by one of its processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside {
    pub(crate) pid: i64,
}

impl Inside {
    /// Runs this on a thread of its own in there.
    pub(crate) fn run<T: Send>(self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let network = File::open(format!("/proc/{}/ns/net", self.pid)).context("the container is gone")?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                    .context("cannot enter a container")
                    .map(|()| work())
            });
            thread.join().map_err(|_| anyhow!("what was done in a container panicked"))?
        })
    }

    /// Which of these addresses take a connection from in there, whether routing or the caller chooses the interface: that needs
    /// no capability.
    pub(crate) fn reached(self, addresses: &[SocketAddr]) -> Result<BTreeSet<SocketAddr>> {
        let interfaces = self.interfaces()?;
        let ways = || [None].into_iter().chain(interfaces.iter().map(|name| Some(name.as_str())));
        self.run(|| {
            // A thread inherits the network of the one that starts it.
            std::thread::scope(|scope| {
                let probe = |address: &SocketAddr| ways().any(|way| connects(*address, way).is_ok());
                let part = addresses.len().div_ceil(PROBERS).max(1);
                let probes = addresses.chunks(part).map(|part| {
                    scope.spawn(move || part.iter().filter(|address| probe(address)).copied().collect::<Vec<_>>())
                });
                // All are started before the first is waited for.
                let probes: Vec<_> = probes.collect();
                probes.into_iter().flat_map(|probe| probe.join().expect("a probe does not panic")).collect()
            })
        })
    }

    /// Without loopback.
    fn interfaces(self) -> Result<Vec<String>> {
        let table = fs::read_to_string(format!("/proc/{}/net/dev", self.pid)).context("the container is gone")?;
        let names = table.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned());
        Ok(names.filter(|name| name != "lo").collect())
    }

    /// A setting of its network, as in `net.ipv4.ip_forward`.
    pub(crate) fn setting(self, name: &str) -> Result<String> {
        let file = format!("/proc/sys/{}", name.replace('.', "/"));
        Ok(self.run(|| fs::read_to_string(&file))?.with_context(|| file.clone())?.trim().to_owned())
    }

    /// A file of the container's own.
    pub(crate) fn file(self, path: &str) -> Result<Vec<u8>> {
        let path = format!("/proc/{}/root{path}", self.pid);
        fs::read(&path).with_context(|| format!("cannot read {path}"))
    }

    /// Where anything in there listens by TCP: addresses of IPv4, and ports of IPv6, which would be every address.
    pub(crate) fn listens(self) -> Result<BTreeSet<SocketAddr>> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/net/{name}", self.pid));
        let lines = [read("tcp").context("the container is gone")?, read("tcp6").unwrap_or_default()].concat();
        lines
            .lines()
            .filter_map(|line| {
                let fields: Vec<_> = line.split_whitespace().collect();
                (fields.get(3) == Some(&LISTENING)).then(|| address(fields[1]))
            })
            .collect()
    }

    /// A number of what Prometheus reads on the container's loopback.
    pub(crate) fn metric(self, port: u16, name: &str) -> Result<f64> {
        let text = self.run(|| metrics(port))?.context("no metrics")?;
        let of_name = |line: &str| line.strip_prefix(name)?.rsplit(' ').next()?.parse::<f64>().ok();
        Ok(String::from_utf8_lossy(&text).lines().filter_map(of_name).sum())
    }
}

fn connects(address: SocketAddr, interface: Option<&str>) -> std::io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind_device(interface.map(str::as_bytes))?;
    socket.connect_timeout(&address.into(), PROBE_PATIENCE)
}

fn metrics(port: u16) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), METRICS_PATIENCE)?;
    stream.set_read_timeout(Some(METRICS_PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// `0100007F:1F90`, or the same with 32 digits in front.
fn address(hexadecimal: &str) -> Result<SocketAddr> {
    let (ip, port) = hexadecimal.split_once(':').context("no port")?;
    let port = u16::from_str_radix(port, 16)?;
    let Ok(ip) = u32::from_str_radix(ip, 16) else {
        return Ok((std::net::Ipv6Addr::UNSPECIFIED, port).into());
    };
    Ok((Ipv4Addr::from(ip.swap_bytes()), port).into())
}
