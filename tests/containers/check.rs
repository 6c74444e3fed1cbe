//! What is looked at, and where.

mod drop_in;
mod faults;
mod figures;
mod isolation;
mod people;
mod segmented;
mod under_load;

use anyhow::Result;
use tokio::runtime::Handle;

use crate::{
    engine::Engine,
    outcome::Outcome,
    person::Person,
    stack::{Announced, Stack},
};

/// What is brought up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// `deploy/compose` on one host.
    Whole,
    /// `deploy/compose/segmented`: two projects.
    Segmented,
    /// A stock Compose file with our Edge in it.
    DropIn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    FirstRun,
    Isolation,
    KillEdge,
    RestartEdges,
    RestartCores,
    Figures,
    DownAndUp,
    WrongSecret,
    EmptySecret,
    AbsentSecret,
    LockedFolder,
    ReadOnlyFolder,
    NoPostgres,
    ClockBehind,
    ClockAhead,
    Segmented,
    DropIn,
}

/// What checks of one scene share, in the order in which they are played.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    scene: Scene,
    stack: Stack<'a>,
    /// By the script that brings the whole stack up.
    announced: Option<Announced>,
    /// Who has enrolled with what the first run announced.
    person: Option<Person>,
    /// Requests so far.
    sent: usize,
}

pub(crate) fn programme() -> Vec<(Scene, Vec<Check>)> {
    use Check::{
        AbsentSecret, ClockAhead, ClockBehind, DownAndUp, DropIn, EmptySecret, Figures, FirstRun, Isolation, KillEdge,
        LockedFolder, NoPostgres, ReadOnlyFolder, RestartCores, RestartEdges, Segmented, WrongSecret,
    };
    let under_load = vec![KillEdge, RestartEdges, RestartCores, Figures];
    let faults =
        vec![WrongSecret, EmptySecret, AbsentSecret, LockedFolder, ReadOnlyFolder, NoPostgres, ClockBehind, ClockAhead];
    vec![
        (Scene::Whole, [vec![FirstRun, Isolation], under_load, vec![DownAndUp], faults].concat()),
        (Scene::Segmented, vec![Segmented]),
        (Scene::DropIn, vec![DropIn]),
    ]
}

impl Scene {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Whole => "compose",
            Self::Segmented => "segmented",
            Self::DropIn => "drop-in",
        }
    }

    pub(crate) async fn set(self, engine: &Engine, threads: Handle) -> Result<Stage<'_>> {
        let stack = Stack::copy(engine, threads)?;
        let mut stage = Stage { scene: self, stack, announced: None, person: None, sent: 0 };
        match stage.bring_up().await {
            Ok(announced) => stage.announced = announced,
            Err(error) => {
                eprintln!("{}", stage.last_words().await);
                engine.remove_leftovers().await?;
                return Err(error);
            }
        }
        Ok(stage)
    }
}

impl Check {
    /// As it is printed, and chosen.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FirstRun => "first-run",
            Self::Isolation => "isolation",
            Self::KillEdge => "kill-edge",
            Self::RestartEdges => "restart-edges",
            Self::RestartCores => "restart-cores",
            Self::Figures => "figures",
            Self::DownAndUp => "down-and-up",
            Self::WrongSecret => "wrong-secret",
            Self::EmptySecret => "empty-secret",
            Self::AbsentSecret => "absent-secret",
            Self::LockedFolder => "locked-folder",
            Self::ReadOnlyFolder => "read-only-folder",
            Self::NoPostgres => "no-postgres",
            Self::ClockBehind => "clock-behind",
            Self::ClockAhead => "clock-ahead",
            Self::Segmented => "segmented",
            Self::DropIn => "drop-in",
        }
    }

    pub(crate) async fn play(self, stage: &mut Stage<'_>) -> Result<Outcome> {
        match self {
            Self::FirstRun => people::first_run(stage).await,
            Self::Isolation => isolation::play(stage).await,
            Self::KillEdge => under_load::kill_edge(stage).await,
            Self::RestartEdges => under_load::restart_edges(stage).await,
            Self::RestartCores => under_load::restart_cores(stage).await,
            Self::Figures => figures::play(stage).await,
            Self::DownAndUp => people::down_and_up(stage).await,
            Self::WrongSecret => faults::wrong_secret(stage).await,
            Self::EmptySecret => faults::empty_secret(stage).await,
            Self::AbsentSecret => faults::absent_secret(stage).await,
            Self::LockedFolder => faults::locked_folder(stage).await,
            Self::ReadOnlyFolder => faults::read_only_folder(stage).await,
            Self::NoPostgres => faults::no_postgres(stage).await,
            Self::ClockBehind => faults::clock_behind(stage).await,
            Self::ClockAhead => faults::clock_ahead(stage).await,
            Self::Segmented => segmented::play(stage).await,
            Self::DropIn => drop_in::play(stage).await,
        }
    }
}

impl Stage<'_> {
    pub(crate) async fn last_words(&self) -> String {
        self.stack.last_words().await
    }

    /// Everything runs when this returns, and in the whole stack somebody may enroll.
    async fn bring_up(&self) -> Result<Option<Announced>> {
        match self.scene {
            Scene::Whole => self.stack.up().await.map(Some),
            Scene::Segmented => segmented::bring_up(&self.stack).await.map(|()| None),
            Scene::DropIn => drop_in::bring_up(&self.stack).await.map(|()| None),
        }
    }

    /// Nothing is left of it.
    pub(crate) async fn clear(&self) -> Result<()> {
        match self.scene {
            Scene::Whole => self.stack.down(&["--volumes"]).await,
            Scene::Segmented => segmented::clear(&self.stack).await,
            Scene::DropIn => drop_in::clear(&self.stack).await,
        }
    }
}
