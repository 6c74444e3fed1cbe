//! The yardstick: `axum::serve` that answers from memory, with as many worker threads as the Edge.

use std::fs;

use anyhow::Result;
use axum::{Router, body::Bytes, http::header, routing::post};

use crate::args::BareOptions;

/// The role of the child process. Prints its address.
pub(crate) fn serve(options: &BareOptions) -> Result<()> {
    let poll = Bytes::from(fs::read(&options.poll)?);
    let start = Bytes::from(fs::read(&options.enrollment_start)?);
    let routes = Router::new()
        .route("/api/v1/poll", post(move |request| answer(request, poll.clone())))
        .route("/api/v1/enrollment/start", post(move |request| answer(request, start.clone())));
    // The default number of workers, as in the Edge.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?);
        Ok(axum::serve(listener, routes).await?)
    })
}

/// The request is read, as any server must, and not looked at.
async fn answer(_request: Bytes, body: Bytes) -> ([(header::HeaderName, &'static str); 1], Bytes) {
    std::future::ready(([(header::CONTENT_TYPE, "application/json")], body)).await
}
