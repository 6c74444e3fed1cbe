//! Everybody's device polls, again and again.

use std::{ops::Range, sync::Arc};

use anyhow::{Result, ensure};
use postern_tests::bench::http;

use super::{Line, Queue, Visit};
use crate::{
    args::LoadOptions,
    visitors::{self, Member},
};

#[derive(Debug, Clone)]
pub(super) struct Polling {
    tokens: Arc<[String]>,
    queue: Arc<Queue>,
    request: Vec<u8>,
    /// Where the token lies in the request: nothing else differs from one to the next.
    token: Range<usize>,
}

impl Polling {
    pub(super) fn new(options: &LoadOptions) -> Result<Self> {
        let members = visitors::read(&options.visitors, options.first, options.count, Member::parse)?;
        let tokens: Arc<[String]> = members.into_iter().map(|member| member.polling_token).collect();
        let length = tokens.first().map(String::len).unwrap_or_default();
        ensure!(tokens.iter().all(|token| token.len() == length), "tokens are of one length");
        let request = http::post("/api/v1/poll", &format!(r#"{{"token":"{}"}}"#, "x".repeat(length)));
        let end = request.len() - r#""}"#.len();
        Ok(Self { tokens, queue: Queue::new(options), request, token: end - length..end })
    }
}

impl Visit for Polling {
    const CONNECTIONS: usize = 64;

    async fn next(&mut self, line: &mut Line) -> Result<bool> {
        self.request[self.token.clone()].copy_from_slice(self.tokens[self.queue.again()].as_bytes());
        line.call("poll", &self.request, |answer| {
            ensure!(answer.body.starts_with(br#"{"device_config":{"#), "no configuration");
            Ok(true)
        })
        .await
    }
}
