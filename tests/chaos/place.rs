//! The network: a public side, a DMZ and an intranet, whose firewall drops every connection that it did not open itself.

use std::net::Ipv4Addr;

use anyhow::Result;
use postern_tests::Namespace;

/// Where people are.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 80, 1, 2);
/// The proxy's outer and inner leg.
pub(crate) const FRONT_OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 80, 1, 1);
pub(crate) const FRONT_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 80, 2, 1);
const ROUTER_DMZ: Ipv4Addr = Ipv4Addr::new(10, 80, 2, 254);
const ROUTER_INTRANET: Ipv4Addr = Ipv4Addr::new(10, 80, 3, 254);
pub(crate) const INTRANET: &str = "10.80.3.0/24";
pub(crate) const DATABASE: Ipv4Addr = Ipv4Addr::new(10, 80, 3, 200);

/// What a Core's host lets in: answers to what it asked for, and nothing else.
const CORE_FIREWALL: &str = "ct state established,related accept";
/// The database's host lets Cores in, too.
const DATABASE_FIREWALL: &str =
    "ct state established,related accept\n        ip saddr 10.80.3.0/24 tcp dport 5432 accept";

/// All hosts. Dropping it removes them.
///
/// ```text
/// public ── front ══ DMZ ══ router ══ intranet ── one host for each Core, and one for their database
///           (proxy)   └── one host for each Edge
/// ```
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) public: Namespace,
    pub(crate) front: Namespace,
    pub(crate) cores: Vec<Namespace>,
    pub(crate) edges: Vec<Namespace>,
    pub(crate) database: Namespace,
    _router: Namespace,
}

impl Place {
    pub(crate) fn create(cores: usize, edges: usize) -> Result<Self> {
        let (public, front) = (Namespace::create("public")?, Namespace::create("front")?);
        public.connect("eth0", &front, "outside")?;
        public.ip(&format!("addr add {CLIENT}/24 dev eth0\nroute add default via {FRONT_OUTSIDE}"))?;
        front.ip(&format!("addr add {FRONT_OUTSIDE}/24 dev outside"))?;

        // Each call is a connection of its own, and its port is used again after a second, not after a minute: at 500 a second
        // the ports of one client would not last.
        for host in [&public, &front] {
            host.set("net.ipv4.tcp_tw_reuse", "1")?;
            host.set("net.ipv4.ip_local_port_range", "10240 65000")?;
        }

        let router = Namespace::create("router")?;
        router.set("net.ipv4.ip_forward", "1")?;
        for (bridge, address) in [("dmz", ROUTER_DMZ), ("intranet", ROUTER_INTRANET)] {
            router.ip(&format!("link add {bridge} type bridge\nlink set {bridge} up"))?;
            router.ip(&format!("addr add {address}/24 dev {bridge}"))?;
        }
        plug(&router, "dmz", "front", &front, FRONT_INSIDE)?;
        front.ip(&format!("route add default via {ROUTER_DMZ}"))?;

        let cores = (1..=cores).map(|number| core_host(&router, number)).collect::<Result<_>>()?;
        let edges = (1..=edges).map(|number| edge_host(&router, number)).collect::<Result<_>>()?;
        let database = intranet_host(&router, "database", DATABASE, DATABASE_FIREWALL)?;
        Ok(Self { public, front, cores, edges, database, _router: router })
    }
}

/// Edges are counted from 1.
pub(crate) fn edge_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 80, 2, 10 + host_part(number))
}

/// Cores are counted from 1.
pub(crate) fn core_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 80, 3, host_part(number))
}

fn core_host(router: &Namespace, number: usize) -> Result<Namespace> {
    intranet_host(router, &format!("core-{number}"), core_address(number), CORE_FIREWALL)
}

fn intranet_host(router: &Namespace, name: &str, address: Ipv4Addr, lets_in: &str) -> Result<Namespace> {
    let host = Namespace::create(name)?;
    host.nft(&format!(
        "table inet firewall {{\n    chain input {{\n        type filter hook input priority 0; policy drop;\n        \
         iif lo accept\n        {lets_in}\n    }}\n}}"
    ))?;
    plug(router, "intranet", name, &host, address)?;
    host.ip(&format!("route add default via {ROUTER_INTRANET}"))?;
    Ok(host)
}

fn edge_host(router: &Namespace, number: usize) -> Result<Namespace> {
    let host = Namespace::create(&format!("edge-{number}"))?;
    plug(router, "dmz", &format!("edge-{number}"), &host, edge_address(number))?;
    host.ip(&format!("route add default via {ROUTER_DMZ}"))?;
    Ok(host)
}

/// A cable from a host to a bridge of the router.
fn plug(router: &Namespace, bridge: &str, port: &str, host: &Namespace, address: Ipv4Addr) -> Result<()> {
    router.connect(port, host, "eth0")?;
    router.ip(&format!("link set {port} master {bridge}"))?;
    host.ip(&format!("addr add {address}/24 dev eth0"))
}

fn host_part(number: usize) -> u8 {
    u8::try_from(number).expect("a place has at most 200 hosts")
}
