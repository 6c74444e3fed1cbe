//! The calls that a stock Core 2.0.1 was recorded with, asked of ours, reply against reply.
//!
//! Every field is equal, or it is ours to choose and has the same shape, or it stands in a table with the reason why it
//! differs on purpose. A row that no longer occurs fails as well, and so does a call that is in no list.

mod difference;
mod player;
mod tables;

use std::collections::BTreeSet;

use self::{
    difference::Difference,
    player::{Played, Player},
    tables::{CHOSEN, DELIBERATE, PLAYED},
};

#[tokio::test]
async fn replies_are_those_of_a_stock_core_but_for_what_is_named() {
    let mut player = Player::new().await;
    let mut played = Vec::new();
    for name in PLAYED {
        played.extend(player.play(name).await);
    }
    let differences = differences(&played);
    let unnamed: Vec<_> = differences.iter().filter(|seen| !is_chosen(seen) && !is_deliberate(seen)).collect();
    assert!(unnamed.is_empty(), "these are in no table: {unnamed:#?}");
    for (path, shape) in CHOSEN {
        let seen = differences.iter().any(|seen| seen.path == *path);
        assert!(seen, "{path} ({shape:?}) is equal now and needs no row");
    }
    for row in DELIBERATE {
        for call in row.calls {
            let seen = differences.iter().any(|seen| row.is(call, seen));
            assert!(seen, "no longer different: {call} {} ({})", row.path, row.why);
        }
    }
}

#[test]
fn every_recorded_call_is_played_once() {
    let recorded: BTreeSet<String> = player::recording().into_keys().collect();
    let unlisted: Vec<_> = recorded.iter().filter(|name| !PLAYED.contains(&name.as_str())).collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    assert_eq!(PLAYED.len(), recorded.len(), "each is listed once");
}

fn differences(played: &[Played]) -> Vec<Difference> {
    played.iter().flat_map(|played| difference::between(&played.call, &played.recorded, &played.ours)).collect()
}

fn is_chosen(seen: &Difference) -> bool {
    CHOSEN.iter().any(|(path, shape)| seen.path == *path && shape.fits(&seen.recorded, &seen.ours))
}

fn is_deliberate(seen: &Difference) -> bool {
    DELIBERATE.iter().any(|row| row.calls.iter().any(|call| row.is(call, seen)))
}
