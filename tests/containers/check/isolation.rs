//! Who reaches whom: from each container to each address of each other, at every port at which anything listens anywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use anyhow::{Context, Result};

use super::Stage;
use crate::{
    inside::Inside,
    outcome::Outcome,
    stack::{CORES, EDGES},
};

const OTHERS: [&str; 3] = ["nginx", "postgres", "mail"];
const SSH: u16 = 22;
/// Probed whether or not anything listens there.
const PORTS: [u16; 12] = [SSH, 25, 53, 80, 443, 1025, 5432, 8025, 8080, 8443, 9464, 50051];
/// Each network's end on the host, if it had one.
const HOST: &str = "host";

/// One container, or the host.
#[derive(Debug)]
struct Party {
    name: &'static str,
    inside: Option<Inside>,
    /// By network.
    addresses: BTreeMap<String, Ipv4Addr>,
}

/// One row of the table.
#[derive(Debug)]
struct Row<'a> {
    from: &'a str,
    to: &'a str,
    network: &'a str,
    address: Ipv4Addr,
    expected: BTreeSet<u16>,
    seen: BTreeSet<u16>,
}

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let mut parties = Vec::new();
    for name in EDGES.into_iter().chain(CORES).chain(OTHERS) {
        let (inside, addresses) = (stage.stack.inside(name).await?, stage.stack.addresses(name).await?);
        parties.push(Party { name, inside: Some(inside), addresses });
    }
    // A host has services of its own.
    let _service = TcpListener::bind((Ipv4Addr::UNSPECIFIED, SSH)).context("cannot listen on the host")?;
    let ports = ports(&parties)?;
    parties.push(host(&parties));
    let mut rows = Vec::new();
    for from in parties.iter().filter(|party| party.inside.is_some()) {
        rows.extend(look_around(from, &parties, &ports)?);
    }
    let wrong = rows.iter().filter(|row| row.expected != row.seen).count();
    for row in &rows {
        println!("{}", row.line());
    }
    let listeners = listeners_of_cores(&parties)?;
    let ways_out = ways_out(&parties, stage.stack.engine.outside()?)?;
    let bridges = bridges(&parties)?;
    Ok(Outcome::new(
        "isolation",
        "every connection as expected, by whichever interface; Cores listen on loopback only; nobody but NGINX has a way out, and \
         nobody is one",
    )
    .figure("connections", rows.len() * ports.len())
    .figure("rows", rows.len())
    .figure("wrong_rows", wrong)
    .figure("listeners_of_cores", listeners.len())
    .figure("ways_out", ways_out.join(","))
    .figure("bridges", bridges.join(","))
    .and(wrong == 0 && listeners.is_empty() && ways_out == ["nginx"] && bridges.is_empty()))
}

fn ports(parties: &[Party]) -> Result<BTreeSet<u16>> {
    let mut ports = BTreeSet::from(PORTS);
    for inside in parties.iter().filter_map(|party| party.inside) {
        ports.extend(inside.listens()?.iter().map(SocketAddr::port));
    }
    Ok(ports)
}

/// At the first address of each network, where Docker puts the host.
fn host(parties: &[Party]) -> Party {
    let networks = parties.iter().flat_map(|party| &party.addresses);
    let first = |address: &Ipv4Addr| {
        let [a, b, c, _] = address.octets();
        Ipv4Addr::new(a, b, c, 1)
    };
    let addresses = networks.map(|(network, address)| (network.clone(), first(address))).collect();
    Party { name: HOST, inside: None, addresses }
}

fn look_around<'a>(from: &'a Party, parties: &'a [Party], ports: &BTreeSet<u16>) -> Result<Vec<Row<'a>>> {
    let targets =
        || parties.iter().flat_map(|to| to.addresses.iter().map(move |(network, address)| (to, network, *address)));
    let probes: Vec<SocketAddr> =
        targets().flat_map(|(_, _, address)| ports.iter().map(move |port| (address, *port).into())).collect();
    let reached = from.inside.context("the host looks at nobody")?.reached(&probes)?;
    let row = |(to, network, address): (&'a Party, &'a String, Ipv4Addr)| {
        let seen = reached.iter().filter(|seen| seen.ip() == address).map(SocketAddr::port).collect();
        Row { from: from.name, to: to.name, network, address, expected: expected(from, to, network), seen }
    };
    Ok(targets().map(row).collect())
}

/// What the work needs, and what two on one wire cannot be kept from.
fn expected(from: &Party, to: &Party, network: &str) -> BTreeSet<u16> {
    if !from.addresses.contains_key(network) {
        return BTreeSet::new();
    }
    let ports: &[u16] = match (to.name, network) {
        (name, "dmz") if EDGES.contains(&name) => &[8080],
        (name, "tunnel") if EDGES.contains(&name) => &[50051],
        ("postgres", "intranet") => &[5432],
        ("mail", "intranet") => &[1025],
        ("nginx", "public") => &[8080],
        // A network with a way out leads over the host.
        (HOST, "public") => &[SSH],
        _ => &[],
    };
    ports.iter().copied().collect()
}

impl Row<'_> {
    fn line(&self) -> String {
        let ports = |ports: &BTreeSet<u16>| {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            if ports.is_empty() { "nothing".to_owned() } else { ports.join(",") }
        };
        let Self { from, to, network, address, expected, seen } = self;
        let mark = if expected == seen { "" } else { " <-- wrong" };
        let (expected, seen) = (ports(expected), ports(seen));
        format!("  {from:>8} -> {to:<8} {network:<8} {address:<12} expected {expected:<8} seen {seen}{mark}")
    }
}

/// Beside loopback, where Docker's own name server is as well.
fn listeners_of_cores(parties: &[Party]) -> Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for party in parties.iter().filter(|party| CORES.contains(&party.name)) {
        let listens = party.inside.context("a Core is a container")?.listens()?;
        found.extend(listens.into_iter().filter(|address| !address.ip().is_loopback()));
    }
    Ok(found)
}

/// Who reaches somebody beyond this host.
fn ways_out(parties: &[Party], outside: SocketAddr) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for party in parties {
        let Some(inside) = party.inside else { continue };
        if !inside.reached(&[outside])?.is_empty() {
            found.push(party.name);
        }
    }
    Ok(found)
}

/// Who would forward for others, or answer in one network for an address in another.
fn bridges(parties: &[Party]) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for party in parties {
        let Some(inside) = party.inside else { continue };
        let settings = [inside.setting("net.ipv4.ip_forward")?, inside.setting("net.ipv4.conf.all.arp_ignore")?];
        if settings != ["0", "1"] {
            found.push(party.name);
        }
    }
    Ok(found)
}
