//! One order, from the name to the certificate.

use std::time::Duration;

use instant_acme::{AuthorizationStatus, ChallengeType, OrderStatus, RetryPolicy};
use postern_proto::proxy::HttpsCerts;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};

use super::{
    Acme,
    account::Held,
    challenges::ChallengeLease,
    domain,
    error::{AcmeError, Trouble},
    guests::{GuestSocket, Host},
};
use crate::{certificate, listen};

/// How long Core's people are shown progress.
const ORDER_MAX: Duration = Duration::from_secs(300);
/// For what the authority decides in its own time.
const DECISION: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.5).timeout(Duration::from_secs(120));
/// Connections that the kernel holds while we are busy.
const BACKLOG: i32 = 64;

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    CheckingDomain,
    Connecting,
    ValidatingDomain,
    IssuingCertificate,
}

/// What an order leads to.
pub(crate) struct Issued {
    pub(crate) certificate: HttpsCerts,
    /// The account, for Core to keep.
    pub(crate) credentials: String,
}

/// What Core hears. The last one is `Issued` or `Failed`.
pub(crate) enum Event {
    Step(Step),
    Issued(Issued),
    Failed(AcmeError),
}

/// Says so when dropped: an order may end with the connection that it came on.
struct Abandoned;

impl Drop for Abandoned {
    fn drop(&mut self) {
        tracing::info!("core left, so the order is given up");
    }
}

/// More events than an order has, so that none has to wait.
pub(crate) const EVENTS_MAX: usize = 8;

/// Ends, with all that it opened, when dropped.
pub(crate) struct Order {
    acme: Acme,
    domain: String,
    credentials: String,
    _turn: OwnedSemaphorePermit,
}

impl Order {
    pub(super) fn new(acme: Acme, turn: OwnedSemaphorePermit, domain: &str, credentials: &str) -> Self {
        Self { acme, domain: domain.to_owned(), credentials: credentials.to_owned(), _turn: turn }
    }

    /// Runs until there is a last event, or nobody waits for it any more.
    pub(crate) async fn run(self, events: mpsc::Sender<Event>) {
        tracing::info!("ordering a web certificate for core");
        let abandoned = Abandoned;
        let outcome = tokio::select! {
            biased;
            () = events.closed() => return,
            outcome = timeout(ORDER_MAX, self.issue(&events)) => outcome.unwrap_or(Err(AcmeError::TooLong)),
        };
        std::mem::forget(abandoned);
        let last = match outcome {
            Ok(issued) => {
                tracing::info!("the web certificate is issued and handed to core");
                Event::Issued(issued)
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "there is no web certificate");
                Event::Failed(error)
            }
        };
        say(&events, last);
    }

    async fn issue(&self, events: &mpsc::Sender<Event>) -> Result<Issued, AcmeError> {
        say(events, Event::Step(Step::CheckingDomain));
        let domain = domain::parse(&self.domain).ok_or(AcmeError::NotADomain)?;
        say(events, Event::Step(Step::Connecting));
        let account = Held::open(&self.acme.shared.authority, &self.credentials).await?;
        say(events, Event::Step(Step::ValidatingDomain));
        let (mut order, credentials) = account.order(&domain).await?;
        self.prove(&mut order).await?;
        say(events, Event::Step(Step::IssuingCertificate));
        let certificate = finish(&mut order, domain).await?;
        certificate::check(&certificate).map_err(AcmeError::Unfit)?;
        Ok(Issued { certificate, credentials })
    }

    /// Shows the authority that the name leads here.
    async fn prove(&self, order: &mut instant_acme::Order) -> Result<(), AcmeError> {
        let port = self.open_port();
        let proven = self.answer(order).await;
        if let Some(port) = port {
            port.close().await;
        }
        proven
    }

    async fn answer(&self, order: &mut instant_acme::Order) -> Result<(), AcmeError> {
        let _answer = self.offer_answer(order).await?;
        let unexplained = match order.poll_ready(&DECISION).await {
            Ok(OrderStatus::Ready) => return Ok(()),
            Ok(_) => Trouble::Refused("it does not say why".to_owned()),
            Err(error) => error.into(),
        };
        Err(explain(order).await.unwrap_or(AcmeError::Validation(unexplained)))
    }

    /// There is one challenge, since there is one name.
    async fn offer_answer(&self, order: &mut instant_acme::Order) -> Result<Option<ChallengeLease>, AcmeError> {
        let refused = |error: instant_acme::Error| AcmeError::Validation(error.into());
        let mut authorizations = order.authorizations();
        let Some(authorization) = authorizations.next().await else { return Ok(None) };
        let mut authorization = authorization.map_err(refused)?;
        // Confirmed not long ago, and remembered by the authority.
        if authorization.status == AuthorizationStatus::Valid {
            return Ok(None);
        }
        let challenge = authorization.challenge(ChallengeType::Http01);
        let mut challenge = challenge.ok_or(AcmeError::NoHttpChallenge)?;
        let answer = self.acme.shared.challenges.offer(&challenge.token, challenge.key_authorization().as_str());
        challenge.set_ready().await.map_err(refused)?;
        Ok(Some(answer))
    }

    /// Opens the port where the authority looks, unless it is served anyway. Without it the order goes on: a proxy in
    /// front may forward what comes to that port.
    fn open_port(&self) -> Option<Host> {
        let address = self.acme.shared.port?;
        let socket = match listen::bind(address, BACKLOG) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::info!(
                    acme = %address, %error,
                    "cannot listen for the certificate authority; going on, since a proxy may forward its requests"
                );
                return None;
            }
        };
        let (guest, host) = GuestSocket::new(socket);
        self.acme.shared.guests.try_send(guest).is_ok().then_some(host)
    }
}

/// What the authority says about the challenge; `None` when it says nothing.
async fn explain(order: &mut instant_acme::Order) -> Option<AcmeError> {
    let mut authorizations = order.authorizations();
    let mut authorization = authorizations.next().await?.ok()?;
    let state = authorization.refresh().await.ok()?;
    let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref())?;
    Some(AcmeError::Validation(Trouble::refused(problem)))
}

/// The certificate, with a key that was made for it alone.
async fn finish(order: &mut instant_acme::Order, domain: String) -> Result<HttpsCerts, AcmeError> {
    let key = KeyPair::generate().map_err(AcmeError::SigningRequest)?;
    let mut params = CertificateParams::new([domain]).map_err(AcmeError::SigningRequest)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(AcmeError::SigningRequest)?;
    let issued = async {
        order.finalize_csr(request.der()).await?;
        order.poll_certificate(&DECISION).await
    };
    let cert_pem = issued.await.map_err(|error: instant_acme::Error| AcmeError::Issue(error.into()))?;
    Ok(HttpsCerts { cert_pem, key_pem: key.serialize_pem() })
}

/// Nobody may be left to hear it.
fn say(events: &mpsc::Sender<Event>, event: Event) {
    drop(events.try_send(event));
}
