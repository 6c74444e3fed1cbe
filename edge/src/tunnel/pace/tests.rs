//! What is measured of replies that come at known moments.

use super::*;

const BUSY: usize = 100;

#[test]
fn one_more_waits_for_all_before_it() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    reply_every(Duration::from_millis(3), 200, (&pace, &mut meter));
    assert_near(pace.wait_behind(BUSY), Duration::from_millis(300));
}

#[test]
fn replies_in_bunches_are_as_fast_as_the_same_one_by_one() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    let mut now = pace.since;
    for bunch in 0..50 {
        now = pace.since + Duration::from_millis(30) * bunch;
        (0..10).for_each(|_| meter.count(&pace, now, (None, BUSY)));
    }
    assert_near(pace.wait_behind(BUSY), Duration::from_millis(300));
    assert!(pace.has_replied_since(now) && !pace.has_replied_since(now + Duration::from_nanos(1)));
}

#[test]
fn a_core_that_works_in_bursts_is_measured_with_its_pauses() {
    for pause in [40, 60, 75].map(Duration::from_millis) {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        for burst in 1..=100_u32 {
            // Places are taken again as soon as they are free.
            pace.note_sent(BUSY_MIN, pace.since + pause * (burst - 1));
            let replies = if burst.is_multiple_of(2) { 1 } else { 9 };
            (1..=replies).for_each(|nth| meter.count(&pace, pace.since + pause * burst, (None, BUSY_MIN - nth)));
        }
        // The last burst counts for a quarter.
        let (found, expected) = (pace.wait_behind(BUSY), pause * 20);
        assert!(found.abs_diff(expected) < expected / 5, "{found:?} is not about {expected:?}");
    }
}

#[test]
fn a_pause_of_core_is_no_slow_core() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    pace.note_sent(BUSY_MIN, pace.since);
    let at = |milliseconds| pace.since + Duration::from_millis(milliseconds);
    (0..100).for_each(|nth| meter.count(&pace, at(1_000), (None, BUSY + 100 - nth)));
    (1..=20).for_each(|nth| meter.count(&pace, at(1_000 + 10 * nth), (None, BUSY)));
    assert_near(pace.wait_behind(BUSY), Duration::from_secs(1));
}

#[test]
fn time_after_all_who_waited_have_left_does_not_count() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    pace.note_sent(BUSY_MIN, pace.since);
    pace.note_left(0);
    meter.count(&pace, pace.since + Duration::from_secs(3_600), (None, BUSY));
    let later = |nth| pace.since + Duration::from_secs(3_600) + Duration::from_millis(3) * nth;
    (1..=200).for_each(|nth| meter.count(&pace, later(nth), (None, BUSY)));
    assert_near(pace.wait_behind(BUSY), Duration::from_millis(300));
}

#[test]
fn with_little_in_flight_nobody_waits_however_slow_a_reply_is() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    reply_every(Duration::from_secs(3), 20, (&pace, &mut meter));
    assert_eq!(pace.wait_behind(BUSY_MIN - 1), Duration::ZERO);
}

#[test]
fn time_in_which_nothing_waits_does_not_count() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    let mut now = pace.since;
    for _ in 0..100 {
        now += Duration::from_secs(1);
        meter.count(&pace, now, (None, BUSY_MIN));
        now += Duration::from_millis(2);
        meter.count(&pace, now, (None, MEASURED_MIN - 1));
    }
    assert_near(pace.wait_behind(BUSY), Duration::from_millis(200));
}

#[test]
fn a_core_that_was_slow_is_trusted_again_while_polls_take_every_free_place() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    reply_every(Duration::from_millis(100), 20, (&pace, &mut meter));
    let slow = pace.since + Duration::from_secs(2);
    for reply in 1..=200 {
        meter.count(&pace, slow + Duration::from_millis(5) * reply, (None, BUSY_MIN - 1));
    }
    assert_near(pace.wait_behind(BUSY), Duration::from_millis(500));
}

#[test]
fn a_burst_after_some_slow_replies_does_not_wait() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    for reply in 1..=20 {
        meter.count(&pace, pace.since + Duration::from_secs(3) * reply, (None, 20));
    }
    assert_eq!(pace.wait_behind(BUSY), Duration::ZERO);
}

#[test]
fn a_queue_is_one_that_no_reply_passes_by_soon() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    let at = |milliseconds| pace.since + Duration::from_millis(milliseconds);
    let mut reply = |now, took| meter.count(&pace, now, (took, BUSY));
    (0..40).for_each(|nth| reply(at(10 * nth), Some(PROMPT * 2)));
    assert!(!pace.has_queue(at(400)), "a pause of Core is no queue yet");
    (40..60).for_each(|nth| reply(at(10 * nth), Some(PROMPT * 2)));
    reply(at(600), None);
    assert!(pace.has_queue(at(600)), "what overtakes polls tells nothing of their queue");
    reply(at(600), Some(PROMPT));
    assert!(!pace.has_queue(at(2_000)), "silence after a prompt reply tells of no queue");
    reply(at(2_000), Some(PROMPT * 2));
    assert!(!pace.has_queue(at(2_400)) && pace.has_queue(at(2_500)));
    meter.count(&pace, at(2_500), (None, MEASURED_MIN - 1));
    assert!(!pace.has_queue(at(9_000)), "nobody waits");
}

#[test]
fn a_bunch_that_is_too_large_is_a_queue() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    reply_every(Duration::from_millis(5), 200, (&pace, &mut meter));
    meter.count(&pace, pace.since, (Some(PROMPT), BUSY));
    let patience =
        Patience { in_queue: Duration::from_millis(300), in_bunch: Duration::from_secs(1), is_behind_polls: true };
    let has_time = |in_flight| pace.has_time(patience, in_flight, pace.since);
    assert!(has_time(BUNCH_MAX - 1) && !has_time(BUNCH_MAX));
}

#[test]
fn refusals_are_no_work_done() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    for reply in 0..1_000_u32 {
        meter.count(&pace, pace.since + Duration::from_millis(1) * reply, (None, BUSY));
        if reply % 10 != 0 {
            pace.discount();
        }
    }
    assert_near(pace.wait_behind(BUSY), Duration::from_secs(1));
}

#[test]
fn refusals_count_in_the_sample_of_their_replies_also_when_places_became_free_in_between() {
    let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
    for bunch in 1..=200 {
        let now = pace.since + Duration::from_millis(30) * bunch;
        pace.note_sent(BUSY_MIN, now - Duration::from_millis(30));
        (1..=10).for_each(|nth| meter.count(&pace, now, (None, BUSY_MIN - nth)));
        // Heard of by who asked, after all of the bunch was counted.
        (0..8).for_each(|_| pace.discount());
    }
    let (found, expected) = (pace.wait_behind(BUSY), Duration::from_millis(1_500));
    assert!(found.abs_diff(expected) < expected / 4, "{found:?} is not about {expected:?}");
}

#[test]
fn where_core_refuses_polls_half_as_many_are_let_in_until_it_refuses_none() {
    let pace = Pace::new(Instant::now());
    let at = |milliseconds| pace.since + Duration::from_millis(milliseconds);
    let rooms = |now| (0..=BUSY_MIN).filter(|&polls| pace.has_room(polls, now)).count();
    assert!(pace.has_room(BUNCH_MAX, at(1)), "a Core that refuses none has room");
    pace.narrow(at(1));
    (2..900).for_each(|now| pace.narrow(at(now)));
    assert_eq!(rooms(at(1)), BUSY_MIN / 2, "those that were let in before tell nothing new");
    pace.narrow(at(1_001));
    assert_eq!(rooms(at(1_001)), (BUSY_MIN / 2 + 2) / 2);
    for now in 2..20 {
        pace.narrow(at(1_000 * now + 1));
    }
    assert!((1..=5).contains(&rooms(at(19_001))), "one at least finds out");
    assert!(pace.has_room(BUSY_MIN, at(19_001 + 500 * BUSY_MIN as u64)), "all are let in again");
}

fn reply_every(gap: Duration, times: u32, (pace, meter): (&Pace, &mut Meter)) {
    (1..=times).for_each(|nth| meter.count(pace, pace.since + gap * nth, (None, BUSY)));
}

fn assert_near(found: Duration, expected: Duration) {
    assert!(found.abs_diff(expected) < expected / 10, "{found:?} is not about {expected:?}");
}
