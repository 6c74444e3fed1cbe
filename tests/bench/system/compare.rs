//! Postgres beside SQLite, with one Core and with two: the same people, the same loads, round by round in turn, so that
//! whatever else the machine does meets all alike.

use std::{process::ExitCode, rc::Rc};

use anyhow::Result;
use postern_tests::bench::statistics::middle;

use crate::{
    args::{Args, Task},
    figure::{Figure, Shift},
    report::print,
    scene::{Ground, Scene},
    seed::{self, Crowd},
    server::Server,
};

/// Polls on Postgres, by polls on SQLite.
const RATE_RATIO_MIN: f64 = 0.8;

pub(crate) async fn compare(args: &Args) -> Result<ExitCode> {
    let scenes = scenes(args).await?;
    let names: Vec<&str> = scenes.iter().map(|(name, _)| *name).collect();
    println!("{} people on {}", args.people(), names.join(", "));
    let everybody = args.people();
    let polls = in_turn(args, &scenes, Task::Poll, |_| Shift { first: 0, count: everybody, millis: args.millis() })?;
    let share = everybody / args.rounds();
    let logins = in_turn(args, &scenes, Task::LogIn, |round| Shift {
        first: round * share,
        count: share,
        millis: args.millis(),
    })?;
    println!("\nmedians, through NGINX and two Edges:");
    for (task, rounds) in [("polls", &polls), ("logins with a code", &logins)] {
        for (name, figures) in names.iter().zip(rounds) {
            print(&format!("{task}, {name}"), &Figure::median(figures));
        }
    }
    println!();
    let (mut holds, mut line) = (true, String::new());
    for (number, name) in names.iter().enumerate() {
        let ratio = |rounds: &[Vec<Figure>]| {
            middle(rounds[number].iter().zip(&rounds[0]).map(|(this, sqlite)| this.per_second / sqlite.per_second))
        };
        let (poll_ratio, login_ratio) = (ratio(&polls), ratio(&logins));
        let is_fast = poll_ratio >= RATE_RATIO_MIN;
        holds &= is_fast;
        let verdict = if is_fast { "holds" } else { "BROKEN" };
        println!("{verdict:6} polls per second, {name} by SQLite: {poll_ratio:.2}, at least {RATE_RATIO_MIN:.2}");
        let (polled, logged_in) = (Figure::median(&polls[number]), Figure::median(&logins[number]));
        let short = name.to_lowercase().replace(' ', "_").replace(',', "");
        line += &format!(
            "{short}_polls_per_s={:.1} {short}_poll_ratio={poll_ratio:.3} {short}_logins_per_s={:.1} \
             {short}_login_ratio={login_ratio:.3} ",
            polled.per_second, logged_in.per_second
        );
    }
    println!("{}", line.trim_end());
    Ok(if holds || args.is_quick() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// SQLite is the first.
async fn scenes(args: &Args) -> Result<Vec<(&'static str, Scene)>> {
    let crowd = Crowd { members: args.people(), invited: 0 };
    let sqlite = Scene::set(crowd, Ground::File, 1).await?;
    let server = Rc::new(Server::start()?);
    let one = Ground::Server(Rc::clone(&server), "one");
    let seeded = seed::fill(crowd, &one).await?;
    server.look_at_tables("one")?;
    server.copy("two", "one")?;
    let two = Ground::Server(server, "two");
    let postgres = Scene::on(seeded.clone(), one, 1).await?;
    let postgres_two = Scene::on(seeded, two, 2).await?;
    Ok(vec![("SQLite", sqlite), ("Postgres", postgres), ("Postgres, two Cores", postgres_two)])
}

/// The figures of each scene, round by round.
fn in_turn(
    args: &Args,
    scenes: &[(&str, Scene)],
    task: Task,
    shift: impl Fn(usize) -> Shift,
) -> Result<Vec<Vec<Figure>>> {
    if task == Task::Poll {
        // The first do not count: they pay for cold caches.
        for (_, scene) in scenes {
            Figure::take(scene, task, shift(0))?;
        }
    }
    let mut figures = vec![Vec::new(); scenes.len()];
    for round in 0..args.rounds() {
        // Now the one goes first, now another.
        for turn in 0..scenes.len() {
            let number = (round + turn) % scenes.len();
            figures[number].push(Figure::take(&scenes[number].1, task, shift(round))?);
        }
        let rates: Vec<String> = scenes
            .iter()
            .zip(&figures)
            .map(|((name, _), taken)| format!("{name} {:.0}/s", taken[round].per_second))
            .collect();
        println!("{}, round {}: {}", task.name(), round + 1, rates.join(", "));
    }
    Ok(figures)
}
