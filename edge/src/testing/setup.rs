//! The three calls of an adoption, one by one.

use postern_proto::{
    common::{CertBundle, CertificateInfo, LogEntry},
    service::ProxySetupClient,
};
use tonic::{Request, Status, Streaming, metadata::MetadataMap, transport::Channel};

/// An adoption that has begun. Dropping it closes its connection.
#[derive(Debug)]
pub struct Setup {
    client: ProxySetupClient<Channel>,
    token: String,
    /// What Start streams; take it out to leave the session but not the connection.
    pub log: Option<Streaming<LogEntry>>,
    /// The headers of the reply to Start.
    pub headers: MetadataMap,
}

impl Setup {
    /// Calls Start. `token` is the whole value of the `authorization` header.
    ///
    /// # Errors
    /// What the Edge answers.
    pub async fn start(mut client: ProxySetupClient<Channel>, token: &str) -> Result<Self, Status> {
        let response = client.start(authorized((), token)).await?;
        let headers = response.metadata().clone();
        Ok(Self { client, token: token.to_owned(), log: Some(response.into_inner()), headers })
    }

    /// The next entry of the log.
    ///
    /// # Panics
    /// When the stream has ended.
    pub async fn next_entry(&mut self) -> LogEntry {
        let log = self.log.as_mut().expect("the log was not taken out");
        log.message().await.expect("no error ends it").expect("another entry")
    }

    /// Another caller on the same connection and session, with a token of its own.
    pub fn set_token(&mut self, token: &str) {
        token.clone_into(&mut self.token);
    }

    /// GetCsr.
    ///
    /// # Errors
    /// What the Edge answers.
    pub async fn signing_request(&mut self, host: &str) -> Result<Vec<u8>, Status> {
        let info = CertificateInfo { cert_hostname: host.to_owned() };
        let response = self.client.get_csr(authorized(info, &self.token)).await?;
        Ok(response.into_inner().der_data)
    }

    /// SendCert.
    ///
    /// # Errors
    /// What the Edge answers.
    pub async fn send(&mut self, bundle: CertBundle) -> Result<(), Status> {
        self.client.send_cert(authorized(bundle, &self.token)).await.map(|_| ())
    }
}

fn authorized<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let headers = request.metadata_mut();
    *headers = super::introduction();
    if !token.is_empty() {
        headers.insert("authorization", token.parse().expect("printable"));
    }
    request
}
