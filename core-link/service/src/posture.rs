//! Posture: what devices tell about themselves, for administrators to read. Nothing is decided by it.
//!
//! A report is as true as its device. One that came with a passed login is its person's; one that came without, at a
//! location that asks for no login, may be anybody's who knows the device's public key.

mod report;

use std::time::Duration;

pub use report::{Finding, Reason, Report};

use crate::{
    activity::Attempt,
    clock::Timestamp,
    device::{DeviceId, FindDeviceError, PublicKey},
    location::{LocationId, MfaMode},
    store::{Store, StoreError, Tx},
};

/// The same report is not written again before, so that a device that connects often costs no writing.
const RENEWED_AFTER: Duration = Duration::from_hours(1);
/// Changes are told at most so often for each device: a stranger who knows its public key can make them up.
const RECORDED_EVERY: Duration = Duration::from_mins(10);

/// Whether devices are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Off,
    /// Reports are kept and shown, and shut nobody out.
    Report,
}

/// A device's newest report, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReport {
    pub report: Report,
    pub reported_at: Timestamp,
    /// When a change was last recorded.
    pub recorded_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("posture is not checked here")]
    Off,
    #[error("location not found")]
    LocationUnknown,
    #[error("device not found")]
    DeviceUnknown,
    #[error("a host is nobody's")]
    Host,
    #[error("user is disabled")]
    Disabled,
    #[error("the device has no access to the location")]
    NoAccess,
    /// A report is no login.
    #[error("the location asks for a login")]
    LoginNeeded,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether this device may report at this location, and whether its report has to be written.
pub async fn may_report(
    store: &Store,
    (location, key): (LocationId, Option<PublicKey>),
    report: Report,
    mut attempt: Attempt,
) -> Result<(Attempt, Result<Option<DeviceId>, CheckError>), StoreError> {
    store
        .read(|tx| {
            Box::pin(async move {
                let admitted = async {
                    let device = admit(tx, location, key.as_ref(), &mut attempt).await?;
                    let known = tx.posture(device).await?;
                    Ok(known.is_none_or(|known| known.is_outdated(&report, tx.now())).then_some(device))
                };
                match admitted.await {
                    Err(CheckError::Store(error)) => Err(error),
                    outcome => Ok((attempt, outcome)),
                }
            })
        })
        .await
}

/// Keeps a device's report, and tells when it has changed.
pub async fn keep(tx: &mut Tx, device: DeviceId, report: &Report, attempt: &Attempt) -> Result<(), StoreError> {
    let (known, now) = (tx.posture(device).await?, tx.now());
    let (has_changed, recorded_at) = match &known {
        Some(known) => (known.report != *report, known.recorded_at),
        None => (true, Timestamp::from_unix(0)),
    };
    let is_told = has_changed && !is_within(RECORDED_EVERY, recorded_at, now);
    tx.keep_posture(device, report, if is_told { now } else { recorded_at }).await?;
    if is_told {
        let entry = attempt.done_as("device_posture_changed");
        tx.record(&entry.with_detail(format!("device {}", device.as_i64()))).await?;
    }
    Ok(())
}

/// What a device last reported. `None`: nothing yet.
pub async fn newest(tx: &mut Tx, device: DeviceId) -> Result<Option<StoredReport>, FindDeviceError> {
    tx.device(device).await?.ok_or(FindDeviceError::Unknown { id: device })?;
    Ok(tx.posture(device).await?)
}

async fn admit(
    tx: &mut Tx,
    location: LocationId,
    key: Option<&PublicKey>,
    attempt: &mut Attempt,
) -> Result<DeviceId, CheckError> {
    let place = tx.login_place(location, key, None).await?.ok_or(CheckError::LocationUnknown)?;
    let device = place.device.ok_or(CheckError::DeviceUnknown)?;
    let (_, login) = device.owner.as_ref().ok_or(CheckError::Host)?;
    attempt.is_by(login);
    if device.owner_is_disabled {
        return Err(CheckError::Disabled);
    }
    if !device.has_access {
        return Err(CheckError::NoAccess);
    }
    match place.mfa_mode {
        MfaMode::Disabled => Ok(device.id),
        MfaMode::Internal | MfaMode::External => Err(CheckError::LoginNeeded),
    }
}

impl StoredReport {
    fn is_outdated(&self, report: &Report, now: Timestamp) -> bool {
        self.report != *report || !is_within(RENEWED_AFTER, self.reported_at, now)
    }
}

/// A time that is still to come is from a clock that was ahead, and holds nothing up.
fn is_within(span: Duration, since: Timestamp, now: Timestamp) -> bool {
    since <= now && now < since.after(span)
}
