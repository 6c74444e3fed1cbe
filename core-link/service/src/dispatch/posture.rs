//! Posture: what devices tell about themselves.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postern_core_link::Reply;
use postern_proto::{
    posture::{
        BoolCheck, DevicePostureCheckRequest, DevicePostureCheckResponse, DevicePostureData, StringCheck,
        UnavailableReason, bool_check, string_check,
    },
    proxy::core_response::Payload,
};

use super::{
    Dispatcher,
    caller::Caller,
    reject::Refusal as _,
    reply::{finish, settle},
};
use crate::{
    device::PublicKey,
    location::LocationId,
    posture::{self, CheckError, Finding, Policy, Reason, Report},
    store::StoreError,
};

/// WireGuard's key of zeros is the same as none (its paper, section 5.2). A key that has to be set on both ends would
/// cut a device off until the server has it too, and let everybody who knows a public key do that to its owner.
const NO_PRESHARED_KEY: [u8; 32] = [0; 32];

impl Dispatcher {
    pub(super) async fn device_posture_check(&self, caller: Caller, body: DevicePostureCheckRequest) -> Reply {
        let attempt = caller.anonymous_attempt();
        if self.instance.posture == Policy::Off {
            return Err(CheckError::Off.rejection());
        }
        let place = (LocationId::new(body.location_id), PublicKey::parse(&body.pubkey).ok());
        let report = report(body.device_posture_data.unwrap_or_default());
        let looked = posture::may_report(&self.store, place, report.clone(), attempt).await;
        let (attempt, outcome) = looked.map_err(|error| error.rejection())?;
        let outdated = match outcome {
            Ok(outdated) => outdated,
            Err(refusal) => return Err(self.refuse_stranger(&refusal, &attempt).await),
        };
        let preshared_key = STANDARD.encode(NO_PRESHARED_KEY);
        let reply = Payload::DevicePostureCheck(DevicePostureCheckResponse { preshared_key });
        let Some(device) = outdated else { return Ok(reply) };
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let kept = posture::keep(tx, device, &report, &attempt).await;
                settle::<StoreError>(tx, kept.map(|()| reply), &attempt).await
            })
        });
        finish(outcome.await)
    }

    /// What came along with the beginning of a login.
    pub(super) fn posture_with_login(&self, data: Option<DevicePostureData>) -> Option<Report> {
        match self.instance.posture {
            Policy::Off => None,
            Policy::Report => data.map(report),
        }
    }
}

fn report(data: DevicePostureData) -> Report {
    let report = Report {
        client_version: data.defguard_client_version,
        os_type: data.os_type,
        os_name: data.os_name.and_then(text),
        os_version: data.os_version.and_then(text),
        disk_encryption: data.disk_encryption.and_then(truth),
        antivirus_present: data.antivirus_present.and_then(truth),
        windows_ad_domain_joined: data.windows_ad_domain_joined.and_then(truth),
        windows_security_update_current: data.windows_security_update_current.and_then(truth),
        linux_kernel_version: data.linux_kernel_version.and_then(text),
        device_integrity: data.device_integrity.and_then(truth),
    };
    report.tidied()
}

fn text(check: StringCheck) -> Option<Finding<String>> {
    Some(match check.result? {
        string_check::Result::Value(value) => Finding::Value(value),
        string_check::Result::Unavailable(number) => Finding::Unavailable(reason(number)),
    })
}

fn truth(check: BoolCheck) -> Option<Finding<bool>> {
    Some(match check.result? {
        bool_check::Result::Value(value) => Finding::Value(value),
        bool_check::Result::Unavailable(number) => Finding::Unavailable(reason(number)),
    })
}

/// A reason that is not known here is as good as none.
fn reason(number: i32) -> Reason {
    match UnavailableReason::try_from(number).unwrap_or_default() {
        UnavailableReason::Unspecified => Reason::NotSaid,
        UnavailableReason::InsufficientPermissions => Reason::InsufficientPermissions,
        UnavailableReason::NotApplicable => Reason::NotApplicable,
        UnavailableReason::DetectionFailed => Reason::DetectionFailed,
    }
}
