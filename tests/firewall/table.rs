//! What may go where, as lines, and whether the filters agree: every pair of hosts, every port, both protocols, both families.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::{
    place::{Host, Rules, define},
    probe::{Fate, Flow, PORTS, Probes, Protocol},
};

use Host::{Admin, Core, Dmz, Neighbour, Office, Public};
use Protocol::{Tcp, Udp};

/// Who may reach whom, where.
type Line = (&'static [Host], Host, Protocol, &'static [u16]);

/// With the files as they are shipped.
const SHIPPED: [Line; 4] = [
    (&[Public, Neighbour, Core, Office, Admin], Dmz, Tcp, &[80, 443]),
    (&[Core], Dmz, Tcp, &[50051]),
    (&[Admin], Dmz, Tcp, &[22]),
    (&[Admin], Core, Tcp, &[22]),
];
/// Behind `intranet.nft` Core itself gets no further than the tunnel port.
const NOT_FROM_CORE: [u16; 2] = [80, 443];

/// With all that can be set: what the host in the DMZ uses is outside, another host there is NGINX and Edge as well, and what Core
/// uses is in the office.
const ALL_SET: [Line; 7] = [
    (&[Neighbour], Dmz, Tcp, &[8080]),
    (&[Dmz], Neighbour, Tcp, &[8080]),
    (&[Dmz], Public, Tcp, &[53, 443]),
    (&[Dmz], Public, Udp, &[53, 123]),
    (&[Core], Office, Tcp, &[53, 443, 465, 587, 5432]),
    (&[Core], Office, Udp, &[53, 123]),
    (&[Core], Neighbour, Tcp, &[50051]),
];

/// A phase of the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No filter at all, which shows that every packet would arrive.
    Open,
    Shipped,
    AllSet,
    /// As shipped, but whoever has taken the DMZ's host over has thrown its filter away.
    TakenOver,
}

impl Phase {
    fn allows(self, flow: &Flow, from: Host) -> bool {
        let is_in = |lines: &[Line]| {
            lines.iter().any(|(sources, to, protocol, ports)| {
                sources.contains(&from) && *to == flow.to && *protocol == flow.protocol && ports.contains(&flow.port)
            })
        };
        let is_core_outside = from == Core && flow.to == Dmz && NOT_FROM_CORE.contains(&flow.port);
        match self {
            Self::Open => true,
            Self::Shipped => is_in(&SHIPPED) && !is_core_outside,
            Self::AllSet => (is_in(&SHIPPED) || is_in(&ALL_SET)) && !is_core_outside,
            Self::TakenOver => match (from, flow.to) {
                (Dmz, Core) => false,
                (Core, _) | (_, Core) => is_in(&SHIPPED) && !is_core_outside,
                (Public | Dmz | Neighbour | Office | Admin, _) => true,
            },
        }
    }

    fn expects(self, flow: &Flow, from: Host) -> Fate {
        match from {
            _ if self.allows(flow, from) => Fate::Answered,
            Dmz if self == Self::TakenOver => Fate::Lost,
            Dmz | Core => Fate::Refused,
            Public | Neighbour | Office | Admin => Fate::Lost,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "unfiltered",
            Self::Shipped => "as-shipped",
            Self::AllSet => "all-set",
            Self::TakenOver => "dmz-taken-over",
        }
    }
}

/// The shipped files with everything set, and with two mistakes that they must stand: a name server inside, for the DMZ, and an
/// administrator in the DMZ.
pub(crate) fn all_set(rules: &Rules) -> Result<Rules> {
    let mut set = rules.clone();
    let dmz: [(&str, &[Host]); 5] = [
        ("NGINX", &[Neighbour]),
        ("EDGES", &[Neighbour]),
        ("DNS", &[Public, Office]),
        ("NTP", &[Public]),
        ("ACME", &[Public]),
    ];
    for (name, hosts) in dmz {
        set.dmz = define(&set.dmz, name, hosts)?;
    }
    let intranet: [(&str, &[Host]); 7] = [
        ("EDGES", &[Dmz, Neighbour]),
        ("ADMINS", &[Admin, Neighbour]),
        ("POSTGRES", &[Office]),
        ("SMTP", &[Office]),
        ("OPENID", &[Office]),
        ("DNS", &[Office]),
        ("NTP", &[Office]),
    ];
    for (name, hosts) in intranet {
        set.intranet = define(&set.intranet, name, hosts)?;
    }
    Ok(set)
}

/// One line for each pair of hosts: what is open between them.
pub(crate) fn play(probes: &Probes, phase: Phase) -> Result<Vec<(String, Result<String>)>> {
    probes.forget_arrivals();
    let flows: Vec<_> = pairs().flat_map(|(from, to)| flows(from, to)).collect();
    let fates = probes.send(&flows, |flow, from| phase.expects(flow, from))?;
    let arrivals = probes.arrivals();
    let mut lines = BTreeMap::new();
    for ((flow, from), fate) in flows.iter().zip(fates) {
        let expected = phase.expects(flow, *from);
        let line: &mut Vec<_> = lines.entry((*from, flow.to)).or_default();
        line.push(Seen { flow: *flow, expected, fate, has_arrived: arrivals.contains(flow) });
    }
    let told = lines
        .into_iter()
        .map(|((from, to), seen)| (format!("{}:{}->{}", phase.name(), from.name(), to.name()), judge(&seen)));
    Ok(told.collect())
}

/// All with one of the two hosts that have a filter.
fn pairs() -> impl Iterator<Item = (Host, Host)> {
    let all = Host::ALL.into_iter().flat_map(|from| Host::ALL.into_iter().map(move |to| (from, to)));
    all.filter(|(from, to)| from != to && [*from, *to].iter().any(|host| matches!(host, Dmz | Core)))
}

fn flows(source: Host, to: Host) -> impl Iterator<Item = (Flow, Host)> {
    source.addresses().into_iter().flat_map(move |from| {
        let of = move |protocol| PORTS.into_iter().map(move |port| (Flow { from, to, protocol, port }, source));
        of(Tcp).chain(of(Udp))
    })
}

/// What became of one packet, from both ends.
struct Seen {
    flow: Flow,
    expected: Fate,
    fate: Fate,
    has_arrived: bool,
}

fn judge(seen: &[Seen]) -> Result<String> {
    let mut open: BTreeMap<(Protocol, u16), usize> = BTreeMap::new();
    for Seen { flow: Flow { from, protocol, port, .. }, expected, fate, has_arrived } in seen {
        ensure!(fate == expected, "{protocol:?} {port} from {from}: {fate:?}, expected {expected:?}");
        let is_open = *fate == Fate::Answered;
        ensure!(is_open == *has_arrived, "{protocol:?} {port} from {from}: {fate:?}, and has arrived: {has_arrived}");
        *open.entry((*protocol, *port)).or_default() += usize::from(is_open);
    }
    // In both families, or it would not have been expected.
    let listed = open.into_iter().filter(|(_, families)| *families > 0);
    let listed: Vec<_> =
        listed.map(|((protocol, port), _)| format!("{}/{port}", format!("{protocol:?}").to_lowercase())).collect();
    let listed = match listed.len() {
        0 => "none".to_owned(),
        all if all == PORTS.len() * 2 => "all".to_owned(),
        _ => listed.join(","),
    };
    Ok(format!("probes={} open={listed}", seen.len()))
}
