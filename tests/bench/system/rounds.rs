//! The loads, round after round.

use anyhow::{Result, ensure};
use postern_tests::bench::statistics::middle;

use crate::{
    args::{Args, Task},
    figure::{Figure, Shift},
    scene::Scene,
};

/// Everybody's polls, in a store of many and in a store of few.
#[derive(Debug)]
pub(crate) struct Polls {
    pub(crate) many: Figure,
    pub(crate) few: Figure,
    /// Processor time of Core for a poll, many by few: the median over rounds.
    pub(crate) core_ratio: f64,
    /// Polls per second, many by few: the median over rounds.
    pub(crate) rate_ratio: f64,
}

/// Polls in turn, so that whatever else the machine does hits both alike. Nothing may be written meanwhile.
pub(crate) async fn polls(args: &Args, many: &Scene, few: &Scene) -> Result<Polls> {
    let poll = |scene: &Scene| {
        let shift = Shift { first: 0, count: scene.seeded.crowd.members, millis: args.millis() };
        Figure::take(scene, Task::Poll, shift)
    };
    // The first do not count: they pay for cold caches.
    poll(many)?;
    poll(few)?;
    let before = many.written().await?;
    let mut rounds = Vec::new();
    for round in 1..=args.rounds() {
        // Now the one goes first, now the other.
        let pair = if round % 2 == 0 {
            let first = poll(few)?;
            (poll(many)?, first)
        } else {
            (poll(many)?, poll(few)?)
        };
        println!("polls, round {round}: {:.0}/s, with few people {:.0}/s", pair.0.per_second, pair.1.per_second);
        rounds.push(pair);
    }
    let after = many.written().await?;
    ensure!(before == after, "polls must write nothing: {before:?}, then {after:?}");
    let ratio = |of: fn(&Figure) -> f64| middle(rounds.iter().map(|(many, few)| of(many) / of(few)));
    let (core_ratio, rate_ratio) = (ratio(|figure| figure.spent_us("Core")), ratio(|figure| figure.per_second));
    let (many, few): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    Ok(Polls { many: Figure::median(&many), few: Figure::median(&few), core_ratio, rate_ratio })
}

/// What each of these people does once, some in each round.
pub(crate) fn once(args: &Args, scene: &Scene, task: Task) -> Result<Figure> {
    let crowd = scene.seeded.crowd;
    let everybody = match task {
        Task::Poll | Task::LogIn => crowd.members,
        Task::Enroll => crowd.invited,
    };
    let count = everybody / args.rounds();
    let mut figures = Vec::new();
    for round in 0..args.rounds() {
        let figure = Figure::take(scene, task, Shift { first: round * count, count, millis: args.millis() })?;
        println!("{}, round {}: {:.0}/s", task.name(), round + 1, figure.per_second);
        figures.push(figure);
    }
    Ok(Figure::median(&figures))
}
