//! The comparison: Edge and bare server in turn, for both calls, round after round.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use postern_tests::bench::{child::Child, process};

use crate::{
    args::Args,
    measure::{Figure, Target, median},
    report::{Pair, Report},
    scene::{Call, Scene},
};

/// Before the first round, so that no figure pays for cold caches.
const WARM_UP: Duration = Duration::from_secs(1);

/// A turn of a default round takes a second: processor time is counted in hundredths of one.
const TURNS: u32 = 5;

/// Memory is looked at when the Edge has had nothing to do for this long.
const IDLE: Duration = Duration::from_secs(2);

/// Measures everything that the verdict rests on.
pub(crate) async fn compare(args: &Args, scene: &Scene) -> Result<Report> {
    tokio::time::sleep(IDLE).await;
    let idle_kib = process::resident_kib(scene.edge.pid())?;
    let bare = Bare::start(scene).await?;
    for call in Call::ALL {
        scene.target(call).measure(WARM_UP)?;
        bare.target(scene, call).measure(WARM_UP)?;
    }
    let mut figures = [const { (Vec::new(), Vec::new()) }; 2];
    for round in 1..=args.rounds() {
        for (call, (of_edge, of_bare)) in Call::ALL.into_iter().zip(&mut figures) {
            let (edge, yardstick) = in_turn(&scene.target(call), &bare.target(scene, call), args.span())?;
            println!("round {round} {}", Pair { call, edge, bare: yardstick });
            of_edge.push(edge);
            of_bare.push(yardstick);
        }
    }
    let [poll, enrollment_start] = figures;
    Ok(Report {
        poll: pair(Call::Poll, &poll),
        enrollment_start: pair(Call::EnrollmentStart, &enrollment_start),
        idle_kib,
        loaded_kib: process::resident_kib(scene.edge.pid())?,
    })
}

/// Both in short turns, so that whatever else the machine does in this round hits both alike.
fn in_turn(edge: &Target<'_>, bare: &Target<'_>, span: Duration) -> Result<(Figure, Figure)> {
    let turns = (0..TURNS).map(|_| Ok((edge.measure(span / TURNS)?, bare.measure(span / TURNS)?)));
    let (of_edge, of_bare): (Vec<Figure>, Vec<Figure>) = turns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok((median(&of_edge), median(&of_bare)))
}

fn pair(call: Call, (edge, bare): &(Vec<Figure>, Vec<Figure>)) -> Pair {
    Pair { call, edge: median(edge), bare: median(bare) }
}

/// The running yardstick.
#[derive(Debug)]
struct Bare {
    process: Child,
    address: SocketAddr,
}

impl Bare {
    async fn start(scene: &Scene) -> Result<Self> {
        let mut process = Child::of_ourselves(
            "bare",
            &[
                ("--poll", scene.body(Call::Poll).await?.display().to_string()),
                ("--enrollment-start", scene.body(Call::EnrollmentStart).await?.display().to_string()),
            ],
        )?;
        let address = process.line()?.parse()?;
        Ok(Self { process, address })
    }

    fn target<'a>(&self, scene: &'a Scene, call: Call) -> Target<'a> {
        Target { address: self.address, request: scene.request(call), pids: vec![self.process.pid()], core: None }
    }
}
