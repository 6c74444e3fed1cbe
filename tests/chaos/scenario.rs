//! What goes wrong, and what people see of it.

mod exactly_once;
mod kill_core;
mod kill_edge;
pub(crate) mod long_absence;
mod lost_core;
mod lost_host;
mod lost_tunnels;
mod overload;
mod poor_network;
mod postgres;
mod rolling;
mod slow_calls;
mod stop_edge;
mod storm;
mod websockets;

use std::time::{Duration, Instant};

use anyhow::Result;

use self::lost_core::Loss;
use crate::{
    form::Form,
    ledger::{Ledger, Verdict},
    load::{Load, Mix, Plan, Tally},
    outcome::Outcome,
    people::People,
    place::Place,
    system::{Cores, Front, Setup, System, Tunnels},
};

/// A stock client leaves 5 s after its call; Postern has answered by then: the budget of 4 s, and one round trip.
const BUDGET: Duration = Duration::from_millis(4200);
/// Before and after what goes wrong, everything is well for so long.
const CALM: Duration = Duration::from_secs(2);
/// How long anything may take to come back before a scenario gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    KillEdge,
    StopEdge,
    LoseCore,
    LoseHost,
    KillCore,
    StopCore,
    HalfOpen,
    Postgres,
    Overload,
    Rolling,
    SlowCalls,
    PoorNetwork,
    ExactlyOnce,
    Storm,
}

/// Where a scenario is played.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) place: &'a Place,
    pub(crate) system: System,
    pub(crate) form: &'a Form,
    /// Of the scenario that is played now; people's names begin with it.
    pub(crate) name: String,
}

/// A load and the ledger that will judge it.
#[derive(Debug)]
struct Running {
    load: Load,
    ledger: Ledger,
}

/// Everything that is played, on which system.
pub(crate) fn programme(form: &Form) -> Vec<(Setup, Vec<Scenario>)> {
    use Scenario::{
        ExactlyOnce, HalfOpen, KillCore, KillEdge, LoseCore, LoseHost, Overload, PoorNetwork, Postgres, Rolling,
        SlowCalls, StopCore, StopEdge, Storm,
    };
    let whole = Setup { cores: Cores::TwoOnPostgres, edges: 3, tunnels: Tunnels::Direct, front: Front::Nginx };
    let small = Setup { cores: Cores::OneOnSqlite, ..whole };
    let relayed = Tunnels::ThroughFaultProxy;
    let edges = vec![KillEdge, StopEdge, LoseCore, LoseHost];
    let cores = vec![KillCore, StopCore, HalfOpen, Postgres, Rolling];
    let mut programme = vec![
        (whole, [edges.clone(), cores].concat()),
        (Setup { cores: Cores::TwoInZones, edges: 4, ..whole }, vec![ExactlyOnce]),
        (Setup { edges: form.storm_edges, tunnels: relayed, ..whole }, vec![Storm]),
        // Each tunnel takes some thirty calls before it refuses one, which is long to wait at what unoptimized programs serve.
        (if form.plays_all { whole } else { Setup { edges: 1, ..small } }, vec![Overload]),
        (small, vec![SlowCalls]),
        (Setup { tunnels: relayed, ..small }, vec![PoorNetwork]),
    ];
    if form.plays_all {
        programme.push((Setup { front: Front::HaProxy, ..whole }, edges));
    }
    programme
}

impl Scenario {
    /// As it is printed, and chosen.
    pub(crate) fn name(self, front: Front) -> String {
        let name = match self {
            Self::KillEdge => "kill-edge",
            Self::StopEdge => "stop-edge",
            Self::LoseCore => "lose-core",
            Self::LoseHost => "lose-host",
            Self::KillCore => "kill-core",
            Self::StopCore => "stop-core",
            Self::HalfOpen => "half-open",
            Self::Postgres => "postgres",
            Self::Overload => "overload",
            Self::Rolling => "rolling",
            Self::SlowCalls => "slow-calls",
            Self::PoorNetwork => "poor-network",
            Self::ExactlyOnce => "exactly-once",
            Self::Storm => "storm",
        };
        match front {
            Front::Nginx => name.to_owned(),
            Front::HaProxy => format!("haproxy-{name}"),
        }
    }

    pub(crate) async fn play(self, stage: &mut Stage<'_>) -> Result<Outcome> {
        match self {
            Self::KillEdge => kill_edge::play(stage).await,
            Self::StopEdge => stop_edge::play(stage).await,
            Self::LoseCore => lost_tunnels::play(stage).await,
            Self::LoseHost => lost_host::play(stage).await,
            Self::KillCore => kill_core::play(stage).await,
            Self::StopCore => lost_core::play(stage, &[Loss::Frozen]).await,
            Self::HalfOpen => lost_core::play(stage, &[Loss::Mute, Loss::Deaf]).await,
            Self::Postgres => postgres::play(stage).await,
            Self::Overload => overload::play(stage).await,
            Self::Rolling => rolling::play(stage).await,
            Self::SlowCalls => slow_calls::play(stage).await,
            Self::PoorNetwork => poor_network::play(stage).await,
            Self::ExactlyOnce => exactly_once::play(stage).await,
            Self::Storm => storm::play(stage).await,
        }
    }
}

impl Stage<'_> {
    /// New people, and a load of theirs for about so long. Everything is well when this returns.
    async fn begin(&self, length: Duration) -> Result<(Running, People)> {
        self.begin_with(self.form.members, length).await
    }

    /// The same with so many members.
    async fn begin_with(&self, members: usize, length: Duration) -> Result<(Running, People)> {
        let invited = self.form.invited(length + 2 * CALM);
        let people = People::gather(self.system.meeting(), &self.name, members, invited).await?;
        let ledger = Ledger::open(self.system.commands()).await?;
        let plan = Plan { people: people.clone(), mix: Mix::Everything, per_second: self.form.rate };
        let load = Load::start(self.system.client(), plan, &self.system.hosts.public);
        tokio::time::sleep(CALM).await;
        Ok((Running { load, ledger }, people))
    }
}

impl Running {
    /// Lets everything be well for a while, then ends the load and counts what happened twice.
    async fn end(self, other: Tally) -> Result<(Tally, Verdict)> {
        tokio::time::sleep(CALM).await;
        let mut tally = self.load.finish().await?;
        tally.append(other);
        let verdict = self.ledger.close(&tally).await?;
        Ok((tally, verdict))
    }
}

/// How long this takes.
async fn timed<T>(what: impl Future<Output = Result<T>>) -> Result<Duration> {
    let begun = Instant::now();
    what.await?;
    Ok(begun.elapsed())
}
