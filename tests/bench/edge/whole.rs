//! The same calls through a real NGINX, and through the whole system: NGINX, two Edges, Core and its database.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use postern_tests::{Cluster, Setup, cluster::START_LIMIT, enrollment, eventually, nginx::Nginx, ports::Ports};

use crate::{
    args::Args,
    measure::{Figure, Target},
    scene::{Call, Scene},
};

/// The Edge of the comparison with NGINX in front.
pub(crate) async fn through_nginx(args: &Args, scene: &Scene) -> Result<[Figure; 2]> {
    let mut ports = Ports::take()?;
    let public = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.port()?));
    let nginx = Nginx::start(&scene.folder.path().join("nginx"), public, &[scene.edge.http])?;
    let client = postern_tests::Client::new(public);
    eventually("NGINX answers", START_LIMIT, || async { client.get("/livez").await.is_ok() }).await?;
    let figures = Call::ALL.map(|call| Target { address: public, ..scene.target(call) });
    let figures = both(args, figures)?;
    drop(nginx);
    Ok(figures)
}

/// A real Core that knows a person with a device: `poll` reads it, `enrollment/start` opens the session of another.
pub(crate) async fn with_core(args: &Args) -> Result<[Figure; 2]> {
    let cluster = Cluster::start_with(Setup::measured()).await?;
    let enrolled = enrollment::enroll(&cluster.public(), &cluster.invite("polls").await?).await?;
    let tokens = [enrolled.polling_token, cluster.invite("starts").await?];
    let mut requests = Vec::new();
    for (call, token) in Call::ALL.into_iter().zip(&tokens) {
        requests.push(call.write_request(cluster.folder(), token)?);
    }
    let pids: Vec<u32> = cluster.edges.iter().map(|edge| edge.process.pid()).collect();
    let target = |index: usize| Target {
        address: cluster.public().address(),
        request: &requests[index],
        pids: pids.clone(),
        core: Some(cluster.core.pid()),
    };
    both(args, [target(0), target(1)])
}

fn both(args: &Args, [poll, enrollment_start]: [Target<'_>; 2]) -> Result<[Figure; 2]> {
    let rounds = args.rounds().min(3);
    Ok([poll.median(rounds, args.span())?, enrollment_start.median(rounds, args.span())?])
}
