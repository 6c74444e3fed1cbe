//! The store on a server: what it refuses, and what it does with collisions.

use std::{iter, time::Duration};

use futures::FutureExt as _;
use postern_core::{
    activity, person,
    secret::Secret,
    store::{Address, OpenError, Operation, Outcome, Replay, ServerAddress, Store, StoreError},
};
use sqlx::{Connection as _, PgConnection};
use tokio::{sync::OwnedSemaphorePermit, task::JoinSet, time::sleep};

use crate::{
    place::Place,
    store::{note, notes},
    support::{Core, configured, key, new_device, poll, polled},
};

/// More than a Core has for reading, and for changes.
const READING: usize = 40;
const CHANGING: usize = 60;

#[derive(Debug, PartialEq)]
struct Text(String);

impl Replay for Text {
    fn to_stored(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    fn from_stored(stored: &[u8]) -> Option<Self> {
        String::from_utf8(stored.to_vec()).ok().map(Self)
    }
}

#[tokio::test]
async fn a_database_that_is_missing_is_named_without_the_password() {
    let place = Place::new();
    let url = place.server.as_ref().unwrap().url().replace("postern@", "postern:hunter2@") + "_missing";
    let address = Address::Server(ServerAddress::parse(Secret::new(url)).unwrap());
    let error = Store::open(address, place.key()).await.unwrap_err();
    assert!(matches!(error, OpenError::NoSuchDatabase { .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn an_operation_that_arrives_at_two_stores_at_once_has_one_effect() {
    let place = Place::new();
    let here = Store::open(place.address(), place.key()).await.unwrap();
    let there = Store::open(place.address(), place.key()).await.unwrap();
    let sent = |store: Store| async move {
        let operation = Operation { id: "one".to_owned(), kind: "test", payload: b"payload".to_vec() };
        let done = store.operate(Some(operation), |tx| {
            Box::pin(async move {
                match note(tx, "done").await {
                    Ok(()) => Outcome::Commit(Text("done".to_owned())),
                    Err(_) => Outcome::Fail(Text("failed".to_owned())),
                }
            })
        });
        done.await.unwrap()
    };
    let replies = tokio::join!(sent(here.clone()), sent(there.clone()));
    assert_eq!(replies, (Text("done".to_owned()), Text("done".to_owned())));
    assert_eq!(notes(&here).await, ["done"]);
    here.close().await;
    there.close().await;
}

#[tokio::test]
async fn a_server_that_answers_is_busy_however_long_all_sessions_are_taken() {
    let place = Place::new();
    let store = Store::open(place.address(), place.key()).await.unwrap();
    let mut reading = JoinSet::new();
    for _ in 0..READING {
        let store = store.clone();
        let read = async move {
            let read = store.read::<_, StoreError, _>(|tx| {
                Box::pin(async move {
                    for _ in 0..20 {
                        activity::newest(tx, 1).await?;
                        sleep(Duration::from_millis(100)).await;
                    }
                    Ok(())
                })
            });
            read.await
        };
        reading.spawn(read);
    }
    let refused: Vec<_> = reading.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!((1..READING).contains(&refused.len()), "{refused:?}");
    assert!(refused.iter().all(|error| matches!(error, StoreError::Overloaded)), "{refused:?}");
    store.close().await;
}

#[tokio::test]
async fn changes_that_all_wait_for_one_lock_are_no_sign_of_a_silent_server() {
    let place = Place::new();
    let store = Store::open(place.address(), place.key()).await.unwrap();
    let mut holder = PgConnection::connect(&place.server.as_ref().unwrap().url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE activity").execute(&mut holder).await.unwrap();
    let mut changing = JoinSet::new();
    for _ in 0..CHANGING {
        let store = store.clone();
        changing.spawn(async move {
            store.write::<_, StoreError, _>(|tx| Box::pin(async move { note(tx, "waits").await })).await
        });
    }
    let reading = async {
        loop {
            store.read::<_, StoreError, _>(|tx| Box::pin(person::list(tx))).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
    };
    let outcomes = tokio::select! {
        () = reading => unreachable!("it reads on"),
        outcomes = changing.join_all() => outcomes,
    };
    assert!(outcomes.iter().all(Result::is_err));
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(StoreError::Overloaded))), "{outcomes:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_poll_that_leaves_while_it_reads_for_others_takes_no_answer_with_it() {
    let core = Core::with_joe().await;
    let mut polls = Vec::new();
    for number in 0..2 {
        let session = core.session("joe").await;
        let made = configured(core.ask(new_device(&session, &format!("device {number}"), &key(number))).await);
        polls.push(poll(&made.token.unwrap()));
    }
    let turns = take_turns(&core);
    let mut asked = polls.into_iter().map(|poll| Box::pin(core.ask(poll)));
    let (mut first, mut second) = (asked.next().unwrap(), asked.next().unwrap());
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    let mut holder = PgConnection::connect(&core.server().unwrap().url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE polling_tokens").execute(&mut holder).await.unwrap();
    drop(turns);

    let both = async {
        tokio::select! { _ = &mut first => {} _ = &mut second => {} }
    };
    tokio::select! {
        () = both => panic!("a read is held up by a lock on its table"),
        () = until_readers_wait(&core) => {}
    }
    drop(first);
    // So nobody can read again.
    let _turns = take_turns(&core);
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();

    assert_eq!(polled(second.await).device.unwrap().name, "device 1");
}

/// All that nobody has.
fn take_turns(core: &Core) -> Vec<OwnedSemaphorePermit> {
    iter::from_fn(|| core.store.last_turn().now_or_never()).map(Result::unwrap).collect()
}

/// One, and it is the only one that reads.
async fn until_readers_wait(core: &Core) {
    const WAITING: &str = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted
        AND relation = 'polling_tokens'::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while core.count(WAITING).await != 1 {
        tokio::task::yield_now().await;
    }
}
