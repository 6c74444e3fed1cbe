//! The account at the authority. Core keeps it; an Edge has it for the time of one order.

use instant_acme::{Account, AccountCredentials, Identifier, NewAccount, NewOrder};
use serde::Deserialize;

use super::{
    authority::Authority,
    error::{AcmeError, Trouble},
};

/// An account, and what Core is to keep of it.
pub(super) struct Held {
    account: Account,
    authority: Authority,
    credentials: String,
}

/// The part of the credentials that says which authority they are for.
#[derive(Deserialize)]
struct Place {
    directory: Option<String>,
}

impl Held {
    /// The account that Core keeps, if it is one of our authority; else a new one.
    pub(super) async fn open(authority: &Authority, kept: &str) -> Result<Self, AcmeError> {
        let Some(credentials) = usable(authority, kept) else { return Self::register(authority).await };
        let account = Account::builder_with_http(Box::new(authority.clone())).from_credentials(credentials).await;
        let account = account.map_err(|error| AcmeError::Account(error.into()))?;
        Ok(Self { account, authority: authority.clone(), credentials: kept.to_owned() })
    }

    /// An order for one name; also by a new account, where the authority has forgotten the old one.
    pub(super) async fn order(mut self, domain: &str) -> Result<(instant_acme::Order, String), AcmeError> {
        let names = [Identifier::Dns(domain.to_owned())];
        let mut order = self.account.new_order(&NewOrder::new(&names)).await;
        if order.as_ref().is_err_and(is_forgotten) {
            tracing::info!("the certificate authority does not know the account any more: making a new one");
            self = Self::register(&self.authority).await?;
            order = self.account.new_order(&NewOrder::new(&names)).await;
        }
        Ok((order.map_err(|error| AcmeError::Order(error.into()))?, self.credentials))
    }

    async fn register(authority: &Authority) -> Result<Self, AcmeError> {
        let new = NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
        let directory = authority.directory().as_str().to_owned();
        let builder = Account::builder_with_http(Box::new(authority.clone()));
        let made = builder.create(&new, directory, None).await.map_err(Trouble::from);
        let (account, credentials) = made.map_err(AcmeError::Account)?;
        let credentials = serde_json::to_string(&credentials).map_err(instant_acme::Error::from);
        let credentials = credentials.map_err(|error| AcmeError::Account(error.into()))?;
        Ok(Self { account, authority: authority.clone(), credentials })
    }
}

fn usable(authority: &Authority, kept: &str) -> Option<AccountCredentials> {
    if kept.is_empty() {
        return None;
    }
    let place: Result<Place, _> = serde_json::from_str(kept);
    let is_ours = place.is_ok_and(|place| place.directory.is_none_or(|url| url == authority.directory().as_str()));
    let credentials = is_ours.then(|| serde_json::from_str(kept).ok()).flatten();
    if credentials.is_none() {
        tracing::info!("the account that core keeps is none of this certificate authority: making a new one");
    }
    credentials
}

fn is_forgotten(error: &instant_acme::Error) -> bool {
    let instant_acme::Error::Api(problem) = error else { return false };
    problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":accountDoesNotExist"))
}
