//! The network: hosts around a router that lets everything through, so that what stops a packet is a host's own filter.
//!
//! Addresses are those of the shipped files.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context, Result};
use postern_tests::{Namespace, programs::repository};

/// Who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Host {
    /// Anybody on the Internet.
    Public,
    /// NGINX and an Edge, behind `dmz.nft`.
    Dmz,
    /// Another host in the DMZ, in whatever hands.
    Neighbour,
    /// A Core, behind `intranet.nft`.
    Core,
    /// Any other host inside.
    Office,
    /// An administrator's, inside as well.
    Admin,
}

impl Host {
    pub(crate) const ALL: [Self; 6] = [Self::Public, Self::Dmz, Self::Neighbour, Self::Core, Self::Office, Self::Admin];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Dmz => "dmz",
            Self::Neighbour => "neighbour",
            Self::Core => "core",
            Self::Office => "office",
            Self::Admin => "admin",
        }
    }

    pub(crate) fn v4(self) -> Ipv4Addr {
        match self {
            Self::Public => Ipv4Addr::new(192, 0, 2, 10),
            Self::Dmz => Ipv4Addr::new(203, 0, 113, 10),
            Self::Neighbour => Ipv4Addr::new(203, 0, 113, 99),
            Self::Core => Ipv4Addr::new(198, 51, 100, 10),
            Self::Office => Ipv4Addr::new(198, 51, 100, 20),
            Self::Admin => Ipv4Addr::new(198, 51, 100, 130),
        }
    }

    pub(crate) fn v6(self) -> Ipv6Addr {
        let (network, subnet, number) = match self {
            Self::Public => (1, 0, 0x10),
            Self::Dmz => (2, 0, 0x10),
            Self::Neighbour => (2, 0, 0x99),
            Self::Core => (3, 0, 0x10),
            Self::Office => (3, 0, 0x20),
            Self::Admin => (3, 0xff, 0x10),
        };
        Ipv6Addr::new(0x2001, 0xdb8, network, subnet, 0, 0, 0, number)
    }

    pub(crate) fn addresses(self) -> [IpAddr; 2] {
        [self.v4().into(), self.v6().into()]
    }
}

/// All hosts. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct Place {
    hosts: Vec<Namespace>,
    router: Namespace,
}

/// The shipped files.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) dmz: String,
    pub(crate) intranet: String,
}

impl Place {
    pub(crate) fn create() -> Result<Self> {
        let router = Namespace::create("router").context("is this root?")?;
        router.set("net.ipv4.ip_forward", "1")?;
        router.set("net.ipv6.conf.all.forwarding", "1")?;
        let hosts = Host::ALL.into_iter().map(|host| plug(&router, host)).collect::<Result<_>>()?;
        Ok(Self { hosts, router })
    }

    pub(crate) fn host(&self, host: Host) -> &Namespace {
        &self.hosts[host as usize]
    }

    /// As an administrator does; what was there before is replaced.
    pub(crate) fn load(&self, rules: &Rules) -> Result<()> {
        self.host(Host::Dmz).nft(&rules.dmz).context("dmz.nft")?;
        self.host(Host::Core).nft(&rules.intranet).context("intranet.nft")?;
        self.forget_neighbours()
    }

    /// So that they are looked for past the filters.
    fn forget_neighbours(&self) -> Result<()> {
        for (host, namespace) in Host::ALL.into_iter().zip(&self.hosts) {
            namespace.ip("neigh flush dev eth0")?;
            self.router.ip(&format!("neigh flush dev {}", host.name()))?;
        }
        Ok(())
    }

    /// As whoever has taken the host in the DMZ over can.
    pub(crate) fn throw_away_the_filter_of_the_dmz(&self) -> Result<()> {
        self.host(Host::Dmz).nft("delete table inet postern")
    }

    /// From now on the way to this host takes only packets of that size, as a VPN on the way would.
    pub(crate) fn narrow_the_way_to(&self, host: Host, size: u32) -> Result<()> {
        let (v4, v6, port) = (host.v4(), host.v6(), host.name());
        self.router.ip(&format!("route replace {v4}/32 dev {port} mtu lock {size}"))?;
        self.router.ip(&format!("route replace {v6}/128 dev {port} mtu lock {size}"))
    }
}

impl Rules {
    /// To the letter.
    pub(crate) fn shipped() -> Result<Self> {
        let read = |name: &str| {
            let path = repository().join("deploy/nftables").join(name);
            fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))
        };
        Ok(Self { dmz: read("dmz.nft")?, intranet: read("intranet.nft")? })
    }
}

/// With both addresses of a definition that ends in `_V4` and `_V6`.
pub(crate) fn define(rules: &str, name: &str, hosts: &[Host]) -> Result<String> {
    let of = |address: fn(&Host) -> String| hosts.iter().map(address).collect::<Vec<_>>().join(", ");
    let families = [("V4", of(|host| host.v4().to_string())), ("V6", of(|host| host.v6().to_string()))];
    families.into_iter().try_fold(rules.to_owned(), |rules, (family, addresses)| {
        let begin = format!("define {name}_{family} = ");
        let line = rules.lines().find(|line| line.starts_with(&begin)).with_context(|| format!("no {begin}"))?;
        Ok(rules.replace(line, &format!("{begin}{{ {addresses} }}")))
    })
}

/// A cable of its own to the router, which is its only neighbour.
fn plug(router: &Namespace, host: Host) -> Result<Namespace> {
    let (name, v4, v6) = (host.name(), host.v4(), host.v6());
    let own = Namespace::create(name)?;
    // Nobody else can have the addresses, and to find that out takes a second.
    for namespace in [router, &own] {
        namespace.set("net.ipv6.conf.all.accept_dad", "0")?;
        namespace.set("net.ipv6.conf.default.accept_dad", "0")?;
    }
    router.connect(name, &own, "eth0")?;
    router.ip(&format!("addr add 169.254.0.1/32 dev {name}\naddr add fe80::1/64 dev {name} nodad"))?;
    router.ip(&format!("route add {v4}/32 dev {name}\nroute add {v6}/128 dev {name}"))?;
    own.ip(&format!("addr add {v4}/32 dev eth0\naddr add {v6}/128 dev eth0 nodad"))?;
    own.ip("route add default via 169.254.0.1 dev eth0 onlink\nroute add default via fe80::1 dev eth0")?;
    Ok(own)
}
