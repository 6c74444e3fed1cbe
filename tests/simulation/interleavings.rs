//! Every interleaving of what several threads do to the requests in flight and to the permits.
//!
//! The shipped files are compiled here a second time, on loom's lock and counters.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use loom::thread;

use in_flight::{InFlight, Lane};
use permits::Permits;

mod sync {
    pub(super) use loom::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    };
}

#[path = "../../edge/src/tunnel/in_flight.rs"]
#[allow(dead_code, unreachable_pub, reason = "the whole file is here, and only what threads share is tried")]
mod in_flight;

#[path = "../../core-link/src/tunnel/permits.rs"]
#[allow(dead_code, reason = "polls and people take permits in the same way")]
mod permits;

/// Who waits. Counts how often it left, in whichever way.
#[derive(Debug)]
struct Waiter(Arc<AtomicUsize>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn waiter() -> (Waiter, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(0));
    (Waiter(Arc::clone(&left)), left)
}

fn assert_empty(in_flight: &InFlight<Waiter>) {
    assert_eq!((in_flight.waiting(Lane::Requests), in_flight.waiting(Lane::Waits)), (0, 0));
}

#[test]
fn a_reply_and_a_caller_who_leaves_take_the_entry_out_once() {
    loom::model(|| {
        let in_flight = Arc::new(InFlight::default());
        let (waiter, left) = waiter();
        let id = in_flight.register(Lane::Requests, waiter).expect("there is room");
        let reply = {
            let in_flight = Arc::clone(&in_flight);
            thread::spawn(move || in_flight.complete(id).is_some())
        };
        let by_caller = in_flight.complete(id).is_some();
        let by_reply = reply.join().expect("no panic");
        assert!(by_caller != by_reply, "exactly one of them took it");
        assert_eq!(left.load(Ordering::SeqCst), 1);
        assert_empty(&in_flight);
    });
}

#[test]
fn nobody_waits_on_a_tunnel_that_has_ended_however_late_they_came() {
    loom::model(|| {
        let in_flight = Arc::new(InFlight::default());
        let callers: Vec<_> = [Lane::Requests, Lane::Waits]
            .into_iter()
            .map(|lane| {
                let (in_flight, (waiter, left)) = (Arc::clone(&in_flight), waiter());
                (thread::spawn(move || in_flight.register(lane, waiter).is_ok()), left)
            })
            .collect();
        in_flight.close();
        for (caller, left) in callers {
            caller.join().expect("no panic");
            assert_eq!(left.load(Ordering::SeqCst), 1, "dropped by the end, or refused after it");
        }
        assert_empty(&in_flight);
    });
}

#[test]
fn a_reply_a_caller_who_leaves_and_the_end_of_the_tunnel_count_each_request_once() {
    loom::model(|| {
        let in_flight = Arc::new(InFlight::default());
        let ((first, first_left), (second, second_left)) = (waiter(), waiter());
        let replied = in_flight.register(Lane::Requests, first).expect("there is room");
        let released = in_flight.register(Lane::Requests, second).expect("there is room");
        let reply = {
            let in_flight = Arc::clone(&in_flight);
            thread::spawn(move || drop(in_flight.complete(replied)))
        };
        let leave = {
            let in_flight = Arc::clone(&in_flight);
            thread::spawn(move || drop(in_flight.complete(released)))
        };
        in_flight.close();
        reply.join().expect("no panic");
        leave.join().expect("no panic");
        assert_eq!((first_left.load(Ordering::SeqCst), second_left.load(Ordering::SeqCst)), (1, 1));
        assert_empty(&in_flight);
        assert!(in_flight.register(Lane::Requests, waiter().0).is_err(), "it has ended");
    });
}

#[test]
fn a_caller_who_comes_while_another_is_answered_gets_an_id_of_their_own() {
    loom::model(|| {
        let in_flight = Arc::new(InFlight::default());
        let first = in_flight.register(Lane::Requests, waiter().0).expect("there is room");
        let other = {
            let in_flight = Arc::clone(&in_flight);
            thread::spawn(move || in_flight.register(Lane::Requests, waiter().0))
        };
        drop(in_flight.complete(first));
        let second = other.join().expect("no panic").expect("there is room");
        assert_ne!(first, second);
        assert_eq!(in_flight.waiting(Lane::Requests), 1);
        drop(in_flight.complete(second));
        assert_empty(&in_flight);
    });
}

#[test]
fn never_more_run_than_there_are_permits_and_all_come_back() {
    loom::model(|| {
        let permits = Arc::new(Permits::new(1));
        let running = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let work = |permits: Arc<Permits>, running: Arc<loom::sync::atomic::AtomicUsize>| {
            let Some(permit) = permits.take() else { return };
            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one is the limit");
            running.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (permits, running) = (Arc::clone(&permits), Arc::clone(&running));
                thread::spawn(move || work(permits, running))
            })
            .collect();
        work(Arc::clone(&permits), running);
        for other in others {
            other.join().expect("no panic");
        }
        let permit = permits.take();
        assert!(permit.is_some() && permits.take().is_none(), "exactly one is there again");
    });
}
