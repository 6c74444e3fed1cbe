//! New certificates for the Edges while a thousand requests arrive each second, over HTTP and HTTPS.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use postern_tests::{Cluster, Commands, Setup, eventually};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::MissedTickBehavior,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName},
    },
};

/// On each of the two Edges, by HTTP and as many by HTTPS.
const CONNECTIONS: usize = 5;
const PER_SECOND: usize = 1000;
const SECONDS: usize = 10;
const PUSHES: usize = 8;
const NAME: &str = "localhost";

/// Certificates of one authority, in files.
pub(crate) struct Certificates {
    pub(crate) trusted: Arc<ClientConfig>,
    files: Vec<(PathBuf, PathBuf, CertificateDer<'static>)>,
    _folder: tempfile::TempDir,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_a_second_notice_nothing() {
    let cluster = Cluster::start_with(Setup::measured()).await.expect("the cluster starts");
    let certificates = Certificates::new().expect("two certificates");
    certificates.push(&cluster, 0).await.expect("the first certificate");

    let begun = Instant::now();
    let mut load = JoinSet::new();
    for edge in &cluster.edges {
        for _ in 0..CONNECTIONS {
            let (http, https, trusted) = (edge.http, edge.https, Arc::clone(&certificates.trusted));
            load.spawn(async move { send(TcpStream::connect(http).await?, http).await });
            load.spawn(async move { send(handshake(https, trusted).await?, https).await });
        }
    }
    let pause = Duration::from_secs(SECONDS as u64) / (PUSHES as u32 + 1);
    let mut pushes = tokio::time::interval(pause);
    pushes.tick().await;
    for push in 1..=PUSHES {
        pushes.tick().await;
        certificates.push(&cluster, push % 2).await.unwrap_or_else(|error| panic!("push {push}: {error:#}"));
    }
    let mut sent = 0;
    while let Some(ended) = load.join_next().await {
        sent += ended.expect("no panic").expect("every request is answered, on the connection it began with");
    }
    let took = begun.elapsed();
    eprintln!("{sent} requests in {took:?} ({:.0}/s), {PUSHES} pushes, 0 failed", sent as f64 / took.as_secs_f64());
    assert_eq!(sent, PER_SECOND * SECONDS);
    assert!(took < Duration::from_secs(2 * SECONDS as u64), "too slow to prove anything: {took:?}");
}

impl Certificates {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let authority = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        let files = (0..2).map(|number| issue(&issuer, folder.path(), number)).collect::<Result<_>>()?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone())?;
        let trusted = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { trusted: Arc::new(trusted), files, _folder: folder })
    }

    pub(crate) fn der(&self, number: usize) -> &CertificateDer<'static> {
        &self.files[number].2
    }

    pub(crate) async fn store(&self, commands: &Commands, number: usize) -> Result<()> {
        let (certificate, key, _) = &self.files[number];
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        commands.json(&["certificate", "set", "--cert", &certificate, "--key", &key]).await.map(drop)
    }

    /// Stores one of the two, and waits until a new handshake with each Edge shows it.
    async fn push(&self, cluster: &Cluster, number: usize) -> Result<()> {
        self.store(&cluster.commands(), number).await?;
        let der = self.der(number);
        for edge in &cluster.edges {
            eventually("a handshake shows the new certificate", Duration::from_secs(5), || async {
                let shown = handshake(edge.https, Arc::clone(&self.trusted)).await;
                shown.is_ok_and(|stream| stream.get_ref().1.peer_certificates().is_some_and(|shown| shown[0] == *der))
            })
            .await?;
        }
        Ok(())
    }
}

fn issue(
    issuer: &Issuer<'_, KeyPair>,
    folder: &Path,
    number: usize,
) -> Result<(PathBuf, PathBuf, CertificateDer<'static>)> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![NAME.to_owned()])?.signed_by(&key, issuer)?;
    let (chain, private) = (folder.join(format!("{number}.pem")), folder.join(format!("{number}.key")));
    std::fs::write(&chain, certificate.pem())?;
    std::fs::write(&private, key.serialize_pem())?;
    Ok((chain, private, certificate.der().clone()))
}

pub(crate) async fn handshake(address: SocketAddr, trusted: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    Ok(TlsConnector::from(trusted).connect(ServerName::try_from(NAME)?, stream).await?)
}

/// One connection's share of the load; how many were answered with 200.
async fn send(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, address: SocketAddr) -> Result<usize> {
    let share = PER_SECOND / (4 * CONNECTIONS);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / u32::try_from(share)?);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0..share * SECONDS {
        tick.tick().await;
        let request = http::Request::get("/api/v1/info").header("host", address.to_string());
        sender.ready().await.with_context(|| format!("{address} closed before request {number}"))?;
        let reply = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        ensure!(reply.status() == 200, "{}", reply.status());
        reply.into_body().collect().await?;
    }
    Ok(share * SECONDS)
}
