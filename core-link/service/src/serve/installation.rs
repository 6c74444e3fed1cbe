//! What a running Core and a command without one both open: the master key, the store, and what the first start
//! made in it.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use time::OffsetDateTime;

use super::master_key;
use crate::{
    authority::{Authority, AuthorityError},
    config::Config,
    instance::{self, Instance, InstanceId},
    mail::{House, MailSettings, MailUse, Mailer, MailerError},
    openid::{self, RelyingParty, RelyingPartyError},
    sealing::MasterKeyError,
    store::{OpenError, Store, StoreError, Tx},
};

/// One installation, open. On SQLite only one process at a time holds it.
#[derive(Debug)]
pub struct Installation {
    pub store: Store,
    pub instance: Instance,
    pub authority: Arc<Authority>,
    /// `None`: no mail is sent.
    pub mailer: Option<Arc<Mailer>>,
    /// `None`: nobody signs in at an OpenID provider.
    pub openid: Option<Arc<RelyingParty>>,
}

/// Why it cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    #[error(
        "the database {database} exists, but its master key {} does not; bring that file back from a backup or from \
         another Core, or name it with --master-key-file", key.display()
    )]
    MasterKeyLost { database: String, key: PathBuf },
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("cannot read or make what every installation has")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Mailer(#[from] MailerError),
    #[error(transparent)]
    OpenId(#[from] RelyingPartyError),
}

impl Installation {
    /// Opens what is there; makes everything on the first start.
    ///
    /// # Errors
    /// [`InstallationError`]
    pub async fn open(config: &Config) -> Result<Self, InstallationError> {
        let mailer = config.mail.as_ref().map(|settings| mailer(settings, config)).transpose()?;
        let openid = config.openid.as_ref().map(|settings| relying_party(settings, config)).transpose()?;
        let store = master_key::open_store(config).await?;
        let name = config.instance_name.clone();
        // One transaction: a crash leaves all of it or nothing, and two starts at once agree.
        let made = store.write(move |tx| Box::pin(async move { first_start(tx, &name).await })).await;
        let (id, authority) = match made {
            Ok(made) => made,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        let instance = Instance {
            id,
            name: config.instance_name.clone(),
            public_url: config.public_url.clone(),
            admin: Some(config.admin_contact.clone()),
            vpn_setup_optional: config.vpn_setup_optional,
            mfa_required: config.mfa_required,
            final_text: config.final_text.clone(),
            posture: config.posture,
            authorisation_lifetime: config.authorisation_lifetime,
            mail: MailUse::of(config.mail.as_ref()),
            openid_display_name: config.openid.as_ref().map(|settings| settings.display_name.clone()),
        };
        Ok(Self { store, instance, authority: Arc::new(authority), mailer, openid })
    }
}

fn relying_party(settings: &openid::Settings, config: &Config) -> Result<Arc<RelyingParty>, RelyingPartyError> {
    let (public_url, authorities) = (&config.public_url, &config.outbound_authorities);
    Ok(Arc::new(RelyingParty::new(settings.clone(), public_url, authorities, openid::Limits::default())?))
}

fn mailer(settings: &MailSettings, config: &Config) -> Result<Arc<Mailer>, MailerError> {
    let (name, public_url) = (config.instance_name.clone(), config.public_url.clone());
    let house = House { name, public_url, admin: config.admin_contact.clone() };
    Ok(Arc::new(Mailer::new(settings, &config.outbound_authorities, house)?))
}

async fn first_start(tx: &mut Tx, instance_name: &str) -> Result<(InstanceId, Authority), InstallationError> {
    let id = instance::ensure(tx).await?;
    let kept = match tx.authority().await? {
        Some(kept) => kept,
        None => {
            let made = Authority::create(instance_name, OffsetDateTime::from(SystemTime::now()))?;
            tx.insert_authority(&made).await?;
            made
        }
    };
    Ok((id, Authority::load(&kept)?))
}
