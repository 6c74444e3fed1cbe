//! What happens to one host, or to its tunnels. Each fault ends with [`heal`].

use anyhow::Result;
use postern_tests::Namespace;

use crate::system::TUNNEL_PORT;

/// Something that a network does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Every tunnel is reset, and so is every attempt at a new one.
    Cut,
    /// What comes to the host out of its tunnels is lost without a word; what it sends still arrives.
    Deaf,
    /// What the host sends into its tunnels is lost; what it is sent still arrives.
    Mute,
    /// The host has vanished: whatever is sent to it gets no answer of any kind.
    BlackHole,
    /// Some of the packets of tunnels, of a hundred, both ways.
    Loss(u8),
    /// All that the host sends, in kbit/s.
    Rate(u32),
}

pub(crate) fn inflict(host: &Namespace, fault: Fault) -> Result<()> {
    let rules = match fault {
        // The resets themselves come this way, and must arrive.
        Fault::Cut => both_ways("tcp flags & rst == 0 reject with tcp reset"),
        Fault::Deaf => chains(&of_tunnels("drop"), ""),
        Fault::Mute => chains("", &of_tunnels("drop")),
        Fault::BlackHole => chains("drop", "drop"),
        Fault::Loss(percent) => both_ways(&format!("numgen random mod 100 < {percent} drop")),
        Fault::Rate(kbit) => {
            return host.tc(&format!("qdisc replace dev eth0 root tbf rate {kbit}kbit burst 16kb latency 200ms"));
        }
    };
    host.nft(&format!("table inet fault\ndelete table inet fault\n{rules}"))
}

/// Ends every fault of this host.
pub(crate) fn heal(host: &Namespace) -> Result<()> {
    host.nft("table inet fault\ndelete table inet fault")?;
    host.tc("qdisc replace dev eth0 root pfifo")
}

fn both_ways(verdict: &str) -> String {
    chains(&of_tunnels(verdict), &of_tunnels(verdict))
}

/// On an Edge's host or on a Core's.
fn of_tunnels(verdict: &str) -> String {
    format!("tcp sport {TUNNEL_PORT} {verdict}; tcp dport {TUNNEL_PORT} {verdict}")
}

fn chains(input: &str, output: &str) -> String {
    let chain = |hook: &str, rule: &str| {
        format!("    chain {hook} {{\n        type filter hook {hook} priority 0;\n        {rule}\n    }}\n")
    };
    format!("table inet fault {{\n{}{}}}", chain("input", input), chain("output", output))
}
