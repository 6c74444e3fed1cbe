//! Everybody logs in once, with the code that their authenticator app shows.

use std::sync::Arc;

use anyhow::{Result, ensure};
use postern_tests::{Authenticator, bench::http, mfa::TOTP};
use serde::Deserialize;

use super::{Line, Queue, Visit};
use crate::{
    args::LoadOptions,
    visitors::{self, Member},
};

/// 32 bytes in base64.
const KEY_LENGTH: usize = 44;

#[derive(Debug, Clone)]
pub(super) struct LoggingIn {
    people: Arc<[Person]>,
    queue: Arc<Queue>,
}

/// All that can be made before the load begins.
#[derive(Debug)]
struct Person {
    start: Vec<u8>,
    authenticator: Authenticator,
}

#[derive(Deserialize)]
struct Started<'a> {
    token: &'a str,
}

#[derive(Deserialize)]
struct Finished<'a> {
    preshared_key: &'a str,
}

impl LoggingIn {
    pub(super) fn new(options: &LoadOptions) -> Result<Self> {
        let members = visitors::read(&options.visitors, options.first, options.count, Member::parse)?;
        let people = members.iter().map(Person::new).collect::<Result<_>>()?;
        Ok(Self { people, queue: Queue::new(options) })
    }
}

impl Person {
    fn new(member: &Member) -> Result<Self> {
        let Member { public_key, seed, location, .. } = member;
        let body = format!(r#"{{"location_id":{location},"pubkey":"{public_key}","method":{TOTP}}}"#);
        Ok(Self { start: http::post("/api/v1/client-mfa/start", &body), authenticator: Authenticator::new(seed)? })
    }
}

impl Visit for LoggingIn {
    const CONNECTIONS: usize = 64;

    async fn next(&mut self, line: &mut Line) -> Result<bool> {
        let Some(person) = self.queue.once().map(|number| &self.people[number]) else { return Ok(false) };
        let started = line.call("start", &person.start, |answer| {
            let Started { token } = serde_json::from_slice(answer.body)?;
            Ok(format!(r#"{{"token":"{token}","code":"{}"}}"#, person.authenticator.code()))
        });
        let finish = http::post("/api/v1/client-mfa/finish", &started.await?);
        line.call("finish", &finish, |answer| {
            let Finished { preshared_key } = serde_json::from_slice(answer.body)?;
            ensure!(preshared_key.len() == KEY_LENGTH, "this is no preshared key");
            Ok(true)
        })
        .await
    }
}
