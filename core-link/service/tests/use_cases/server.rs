//! The store on a server: what it refuses, and what it does with collisions.

use postern_core::{
    secret::Secret,
    store::{Address, OpenError, Operation, Outcome, Replay, ServerAddress, Store},
};

use crate::{
    place::Place,
    store::{note, notes},
};

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
