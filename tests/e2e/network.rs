//! Who opens connections to whom, as the kernel sees it.

use std::process::Command;

use postern_tests::Cluster;

/// One line of `ss`: the two ends, and whose socket it is.
#[derive(Debug)]
struct Socket {
    local: String,
    peer: String,
    owner: u32,
}

#[tokio::test]
async fn core_opens_every_tunnel_and_listens_on_nothing_but_loopback() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let core = cluster.core.pid();
    let established = sockets(&["-tnpH", "state", "established"]);
    for edge in &cluster.edges {
        let tunnel = edge.tunnel.to_string();
        assert!(
            established.iter().any(|socket| socket.owner == core && socket.peer == tunnel),
            "core has no connection to {tunnel}: {established:?}"
        );
        for socket in established.iter().filter(|socket| socket.owner == edge.process.pid()) {
            let accepted = socket.local == tunnel || socket.local == edge.http.to_string();
            assert!(accepted, "{} opened a connection: {socket:?}", edge.name);
        }
    }
    for socket in sockets(&["-tlnpH"]).iter().filter(|socket| socket.owner == core) {
        assert!(socket.local.starts_with("127.0.0.1:"), "core listens on {socket:?}");
    }
}

/// Runs `ss`; lines without an owner belong to somebody else's processes.
fn sockets(arguments: &[&str]) -> Vec<Socket> {
    let output = Command::new("ss").args(arguments).output().expect("ss (package iproute2) runs");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().filter_map(socket).collect()
}

/// `[State] Recv-Q Send-Q Local Peer users:(("name",pid=1,fd=2))`; the state is left out when it was asked for.
fn socket(line: &str) -> Option<Socket> {
    let mut ends = line.split_whitespace().filter(|column| column.contains(':') && !column.starts_with("users:"));
    let (local, peer) = (ends.next()?, ends.next()?);
    let owner = line.split("pid=").nth(1)?.split(',').next()?.parse().ok()?;
    Some(Socket { local: local.to_owned(), peer: peer.to_owned(), owner })
}
