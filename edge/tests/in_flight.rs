//! Requests in flight, one after the other. What may happen at the same moment is tried by `tests/simulation`.

use postern_edge::tunnel::in_flight::{IN_FLIGHT_MAX, InFlight, Lane::*, RegisterError, WAITS_MAX};

#[test]
fn ids_start_at_one_and_are_never_reused() {
    let in_flight = InFlight::default();
    assert_eq!(in_flight.register(Requests, 'a'), Ok(1));
    assert_eq!(in_flight.complete(1), Some('a'));
    assert_eq!(in_flight.register(Requests, 'b'), Ok(2));
}

#[test]
fn an_entry_leaves_once() {
    let in_flight = InFlight::default();
    let id = in_flight.register(Requests, 'a').unwrap();
    assert_eq!(in_flight.complete(id), Some('a'));
    assert_eq!(in_flight.complete(id), None);
    assert_eq!(in_flight.waiting(Requests), 0);
}

#[test]
fn an_unknown_id_completes_nobody() {
    let in_flight = InFlight::default();
    in_flight.register(Requests, 'a').unwrap();
    assert_eq!(in_flight.complete(7), None);
    assert_eq!(in_flight.complete(0), None);
    assert_eq!(in_flight.waiting(Requests), 1);
}

#[test]
fn beyond_the_limit_nothing_is_registered_until_a_slot_is_free() {
    let in_flight = InFlight::default();
    for _ in 0..IN_FLIGHT_MAX {
        in_flight.register(Requests, ()).unwrap();
    }
    assert_eq!(in_flight.register(Requests, ()), Err(RegisterError::Full));
    in_flight.complete(1);
    assert_eq!(in_flight.register(Requests, ()), Ok(IN_FLIGHT_MAX as u64 + 1));
}

#[test]
fn requests_and_waits_take_no_room_from_each_other() {
    let in_flight = InFlight::default();
    for _ in 0..IN_FLIGHT_MAX {
        in_flight.register(Requests, ()).unwrap();
    }
    let wait = in_flight.register(Waits, ()).unwrap();
    assert_eq!((in_flight.waiting(Requests), in_flight.waiting(Waits)), (IN_FLIGHT_MAX, 1));
    in_flight.complete(wait);
    assert_eq!((in_flight.waiting(Requests), in_flight.waiting(Waits)), (IN_FLIGHT_MAX, 0));
    for _ in 0..WAITS_MAX {
        in_flight.register(Waits, ()).unwrap();
    }
    assert_eq!(in_flight.register(Waits, ()), Err(RegisterError::Full));
    in_flight.complete(1);
    assert!(in_flight.register(Requests, ()).is_ok());
}

#[test]
fn closing_drops_every_waiter_and_refuses_later_ones() {
    let in_flight = InFlight::default();
    let (waiter, caller) = std::sync::mpsc::channel::<()>();
    in_flight.register(Requests, waiter.clone()).unwrap();
    in_flight.close();
    assert_eq!(in_flight.register(Requests, waiter), Err(RegisterError::Closed));
    assert!(caller.recv().is_err(), "no waiter is left");
    assert_eq!(in_flight.waiting(Requests), 0);
}
