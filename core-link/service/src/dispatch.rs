//! Requests of Edges: wire messages to domain values, a use case, and back.
//!
//! The only place that knows both sides. A request that cannot be understood is refused before it has any effect;
//! every change runs as an operation, so that a repeat gets the stored reply.

mod caller;
mod certificate;
mod enrollment;
mod greeting;
mod mfa;
mod openid;
mod password_reset;
mod phone;
mod polling;
mod posture;
mod reject;
mod reply;
mod wire;

use std::{fmt, sync::Arc};

use postern_core_link::{Handler, Reply, Request};
use postern_proto::proxy::core_request::Payload;

use self::caller::Caller;
pub use self::greeting::greeting;
use crate::{
    activity::RefusalBudget,
    instance::Instance,
    mfa::{RecentPolls, approval::Approvals},
    openid::RelyingParty,
    password::Passwords,
    password_reset::ResetBudget,
    polling::Polls,
    store::Store,
};

/// Answers what people and their devices ask through any Edge.
#[derive(Clone)]
pub struct Dispatcher {
    store: Store,
    passwords: Passwords,
    instance: Arc<Instance>,
    refusals: Arc<RefusalBudget>,
    polls: Arc<Polls>,
    recent_polls: Arc<RecentPolls>,
    reset_budget: Arc<ResetBudget>,
    openid: Option<Arc<RelyingParty>>,
    approvals: Arc<Approvals>,
}

impl Dispatcher {
    pub fn new(store: Store, passwords: Passwords, instance: Instance) -> Self {
        Self {
            polls: Arc::new(Polls::new(store.clone())),
            store,
            passwords,
            instance: Arc::new(instance),
            refusals: Arc::default(),
            recent_polls: Arc::default(),
            reset_budget: Arc::default(),
            openid: None,
            approvals: Arc::default(),
        }
    }

    /// Who waits for an approval here, for whoever wakes them.
    pub fn approvals(&self) -> Arc<Approvals> {
        Arc::clone(&self.approvals)
    }

    /// With a provider at which people sign in.
    #[must_use]
    pub fn with_openid(self, openid: Arc<RelyingParty>) -> Self {
        Self { openid: Some(openid), ..self }
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("instance", &self.instance.id).finish_non_exhaustive()
    }
}

impl Handler for Dispatcher {
    async fn handle(&self, request: Request) -> Reply {
        let kind = request.payload.kind();
        let reply = self.serve(kind, request).await;
        let outcome = if reply.is_ok() { "served" } else { "refused" };
        metrics::counter!("postern_core_requests_total", "kind" => kind, "outcome" => outcome).increment(1);
        reply
    }
}

impl Dispatcher {
    async fn serve(&self, kind: &'static str, request: Request) -> Reply {
        let (caller, payload) = Caller::of(request);
        match payload {
            Payload::EnrollmentStart(body) => self.enrollment_start(caller, body).await,
            Payload::ActivateUser(body) => self.activate_user(caller, body).await,
            Payload::NewDevice(body) => self.new_device(caller, body).await,
            Payload::ExistingDevice(body) => self.existing_device(caller, body).await,
            Payload::InstanceInfo(body) => self.instance_info(caller, body).await,
            Payload::CodeMfaSetupStart(body) => self.code_mfa_setup_start(caller, body).await,
            Payload::CodeMfaSetupFinish(body) => self.code_mfa_setup_finish(caller, body).await,
            Payload::ClientMfaStart(body) => self.client_mfa_start(caller, body).await,
            Payload::ClientMfaFinish(body) => self.client_mfa_finish(caller, body).await,
            Payload::RegisterMobileAuth(body) => self.register_mobile_auth(caller, body).await,
            Payload::AwaitRemoteMfaFinish(body) => self.await_remote_mfa_finish(caller, body).await,
            Payload::ClientMfaTokenValidation(body) => self.client_mfa_token_validation(body).await,
            Payload::AuthInfo(body) => self.auth_info(body),
            Payload::AuthCallback(body) => self.auth_callback(caller, body).await,
            Payload::ClientMfaOidcAuthenticate(body) => self.client_mfa_oidc_authenticate(caller, body).await,
            Payload::AcmeCertificate(_) => self.unasked_certificate(caller).await,
            Payload::PasswordResetInit(body) => self.password_reset_init(caller, body).await,
            Payload::PasswordResetStart(body) => self.password_reset_start(caller, body).await,
            Payload::PasswordReset(body) => self.password_reset(caller, body).await,
            Payload::DevicePostureCheck(body) => self.device_posture_check(caller, body).await,
            Payload::Probe(_) | Payload::ProbeReply(_) | Payload::Draining(_) | Payload::Cancel(_) => {
                Err(reject::not_served(kind))
            }
        }
    }
}
