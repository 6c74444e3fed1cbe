//! What is known of the provider: its addresses and its keys, kept fresh in the background.
//!
//! No request waits for a provider that is down: what is known is used for an hour, and then the answer is that it
//! cannot be reached. Only a token under an unknown key waits for newer ones, at most once a minute for everybody.

use std::{sync::Arc, time::Duration};

use openidconnect::{
    AuthType, ClientId, ClientSecret, DiscoveryError, EndpointNotSet, EndpointSet, IssuerUrl,
    core::{CoreClient, CoreClientAuthMethod, CoreJsonWebKeySet, CoreProviderMetadata},
};
use rand::Rng as _;
use rustls::RootCertStore;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Settings,
    fetch::{FetchError, Fetcher},
    issuer::Issuer,
};

/// Time limits towards the provider.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one answer; a caller leaves after 4 s.
    pub call_max: Duration,
    /// Between two looks at its keys while all is well.
    pub refresh: Duration,
    /// Between two looks at its keys, however many tokens ask for newer ones.
    pub refresh_min: Duration,
    /// After a failure, doubled up to `refresh_min`.
    pub retry_min: Duration,
    /// How long keys are used while the provider does not answer.
    pub age_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_max: Duration::from_secs(3),
            refresh: Duration::from_mins(10),
            refresh_min: Duration::from_mins(1),
            retry_min: Duration::from_secs(2),
            age_max: Duration::from_hours(1),
        }
    }
}

pub(super) type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;

/// One state of the provider.
pub(super) struct Known {
    pub(super) issuer: IssuerUrl,
    pub(super) client: Client,
    pub(super) keys: CoreJsonWebKeySet,
    fetched_at: Instant,
}

/// The provider, as Core sees it.
pub(super) struct Provider {
    issuer: Issuer,
    client_id: ClientId,
    client_secret: ClientSecret,
    pub(super) fetcher: Fetcher,
    limits: Limits,
    known: watch::Sender<Option<Arc<Known>>>,
    newer_wanted: Notify,
}

/// Why nothing new is known.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error(transparent)]
    Fetch(FetchError),
    #[error("its metadata or its keys are not what they should be")]
    Malformed,
    #[error("its metadata name no token endpoint")]
    NoTokenEndpoint,
    #[error("its metadata are of another issuer")]
    OtherIssuer,
}

impl Provider {
    pub(super) fn new(settings: &Settings, roots: RootCertStore, limits: Limits) -> Self {
        Self {
            issuer: settings.issuer.clone(),
            client_id: ClientId::new(settings.client_id.clone()),
            client_secret: ClientSecret::new(settings.client_secret.expose().to_owned()),
            fetcher: Fetcher::new(roots, settings.issuer.clone(), limits.call_max),
            limits,
            known: watch::Sender::new(None),
            newer_wanted: Notify::new(),
        }
    }

    /// Looks at the provider until told to stop.
    pub(super) async fn run(&self, drain: CancellationToken) {
        let mut retry = self.limits.retry_min;
        loop {
            let looked_at = Instant::now();
            let pause = match self.refresh().await {
                Ok(known) => {
                    retry = self.limits.retry_min;
                    self.known.send_replace(Some(Arc::new(known)));
                    self.limits.refresh
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, issuer = self.issuer.as_str(), "cannot look at the OpenID provider");
                    let pause = retry;
                    retry = (retry * 2).min(self.limits.refresh_min);
                    pause
                }
            };
            tokio::select! {
                () = drain.cancelled() => return,
                () = sleep_until(looked_at + spread(pause)) => {}
                () = self.newer_wanted_after(looked_at + self.limits.refresh_min) => {}
            }
        }
    }

    /// What is known, unless it is too old.
    pub(super) fn known(&self) -> Option<Arc<Known>> {
        self.known.borrow().clone().filter(|known| known.fetched_at.elapsed() < self.limits.age_max)
    }

    /// What is known after this, if it may be looked at again so soon. The caller has a time limit of its own.
    pub(super) async fn newer_than(&self, old: &Known) -> Option<Arc<Known>> {
        let mut states = self.known.subscribe();
        let is_newer = |state: &Option<Arc<Known>>| state.as_ref().is_some_and(|new| new.fetched_at > old.fetched_at);
        if !is_newer(&states.borrow()) {
            if old.fetched_at.elapsed() < self.limits.refresh_min {
                return None;
            }
            self.newer_wanted.notify_one();
        }
        states.wait_for(is_newer).await.ok()?.clone()
    }

    /// Several steps together get the time of one.
    pub(super) async fn within_limit<T>(&self, steps: impl Future<Output = T>) -> Option<T> {
        timeout(self.limits.call_max, steps).await.ok()
    }

    async fn newer_wanted_after(&self, earliest: Instant) {
        sleep_until(earliest).await;
        self.newer_wanted.notified().await;
    }

    async fn refresh(&self) -> Result<Known, RefreshError> {
        let fetched_at = Instant::now();
        let ask = self.fetcher.as_client();
        let metadata =
            CoreProviderMetadata::discover_async(self.issuer.url().clone(), &ask).await.map_err(refresh_error)?;
        let token_url = metadata.token_endpoint().ok_or(RefreshError::NoTokenEndpoint)?.clone();
        // Where people are sent to; what Core itself asks is judged with each call.
        if !self.issuer.may_name(metadata.authorization_endpoint().url()) {
            return Err(RefreshError::Fetch(FetchError::UnsafeAddress));
        }
        let keys = metadata.jwks().clone();
        let client = CoreClient::new(self.client_id.clone(), self.issuer.url().clone(), CoreJsonWebKeySet::default())
            .set_client_secret(self.client_secret.clone())
            .set_auth_type(auth_type(&metadata))
            .set_auth_uri(metadata.authorization_endpoint().clone())
            .set_token_uri(token_url);
        Ok(Known { issuer: self.issuer.url().clone(), client, keys, fetched_at })
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer.as_str()).finish_non_exhaustive()
    }
}

/// RFC 6749 wants the secret in a header; it goes into the body only where the provider takes it nowhere else.
fn auth_type(metadata: &CoreProviderMetadata) -> AuthType {
    let methods = metadata.token_endpoint_auth_methods_supported();
    let takes = |method| methods.is_some_and(|methods| methods.contains(&method));
    if takes(CoreClientAuthMethod::ClientSecretPost) && !takes(CoreClientAuthMethod::ClientSecretBasic) {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }
}

/// Its own text could repeat what the provider sent.
fn refresh_error(error: DiscoveryError<FetchError>) -> RefreshError {
    if let DiscoveryError::Request(error) = error {
        return RefreshError::Fetch(error);
    }
    if let DiscoveryError::Response(status, ..) = &error
        && !status.is_success()
    {
        return RefreshError::Fetch(FetchError::Status(status.as_u16()));
    }
    if let DiscoveryError::Validation(_) = error { RefreshError::OtherIssuer } else { RefreshError::Malformed }
}

/// A tenth more or less, so that several Cores do not ask as one.
fn spread(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.9..1.1))
}
