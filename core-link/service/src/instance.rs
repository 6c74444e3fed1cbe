//! This installation, as clients know it.

use std::{fmt, time::Duration};

use uuid::Uuid;

use crate::{
    mail::MailUse,
    posture::Policy,
    session_keys,
    store::{StoreError, Tx},
};

/// Names an installation for ever; clients recognise it by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceId(Uuid);

impl InstanceId {
    pub(crate) fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom people ask when they are stuck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminContact {
    pub name: String,
    pub email: String,
    pub phone: Option<String>,
}

/// What clients are told about this installation.
#[derive(Debug, Clone)]
pub struct Instance {
    pub id: InstanceId,
    pub name: String,
    /// Ends with a slash: clients append paths to it.
    pub public_url: String,
    pub admin: Option<AdminContact>,
    pub vpn_setup_optional: bool,
    pub mfa_required: bool,
    /// Markdown, at the end of enrollment.
    pub final_text: String,
    /// Whether devices are asked for their posture.
    pub posture: Policy,
    /// How long a passed login opens a location to a device.
    pub authorisation_lifetime: Duration,
    pub mail: MailUse,
    /// On buttons. `None`: nobody signs in at an OpenID provider.
    pub openid_display_name: Option<String>,
}

/// Makes on the first start what lasts for ever, and finds it on all others. Two Cores that start at once agree,
/// because the first commit decides.
pub async fn ensure(tx: &mut Tx) -> Result<InstanceId, StoreError> {
    let id = tx.ensure_instance(InstanceId(Uuid::new_v4())).await?;
    session_keys::ensure(tx).await?;
    Ok(id)
}
