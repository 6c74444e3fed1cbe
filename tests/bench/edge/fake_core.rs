//! The other end of the tunnel: adopts the Edge and answers from memory, so that only the Edge is measured.

use anyhow::Result;
use bytes::{BufMut as _, Bytes, BytesMut};
use postern_edge::testing::{Answer, FakeCore};
use postern_proto::{
    client_types as client,
    proxy::{
        ClientMfaTokenValidationResponse, CoreRequest, CoreResponse,
        core_request::Payload as Request,
        core_response::Payload::{self, EnrollmentStart, InstanceInfo},
    },
    rejection::Rejection,
};
use prost::Message as _;
use tonic::Code;

use crate::args::FakeCoreOptions;

/// The role of the child process. Runs until it is ended.
pub(crate) fn serve(options: &FakeCoreOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let core = FakeCore::new();
        core.adopt(options.tunnel).await?;
        let replies = Replies::new();
        let tunnel = core.connect(options.tunnel, move |request| replies.to(request)).await;
        std::future::pending::<()>().await;
        drop(tunnel);
        Ok(())
    })
}

/// The replies of the comparison, encoded once.
#[derive(Debug)]
struct Replies {
    poll: Bytes,
    enrollment_start: Bytes,
}

impl Replies {
    fn new() -> Self {
        // Without an id, which stands in front.
        let encoded = |payload: Payload| CoreResponse { id: 0, payload: Some(payload) }.encode_to_vec().into();
        Self {
            poll: encoded(InstanceInfo(client::InstanceInfoResponse { device_config: Some(device_config()) })),
            enrollment_start: encoded(EnrollmentStart(enrollment_session())),
        }
    }

    fn to(&self, request: &CoreRequest) -> Answer {
        match &request.payload {
            Some(Request::InstanceInfo(_)) => with_id(request.id, &self.poll),
            Some(Request::EnrollmentStart(_)) => with_id(request.id, &self.enrollment_start),
            Some(Request::ClientMfaTokenValidation(_)) => {
                Answer::Reply(Payload::ClientMfaTokenValidation(ClientMfaTokenValidationResponse { token_valid: true }))
            }
            Some(Request::AwaitRemoteMfaFinish(_)) => Answer::Nothing,
            _ => Answer::Reject(Rejection::new(Code::Unimplemented, "the bench asks for a few things only")),
        }
    }
}

fn with_id(id: u64, payload: &Bytes) -> Answer {
    let mut message = BytesMut::with_capacity(payload.len() + 16);
    prost::encoding::uint64::encode(1, &id, &mut message);
    message.put_slice(payload);
    Answer::Raw(message.freeze())
}

/// What a desktop with two locations gets.
fn device_config() -> client::DeviceConfigResponse {
    client::DeviceConfigResponse {
        device: Some(client::Device {
            id: 7,
            name: "laptop".to_owned(),
            pubkey: "BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM=".to_owned(),
            user_id: 3,
            created_at: 1_795_162_644,
        }),
        configs: vec![location(1, "Office"), location(2, "Plant")],
        instance: Some(instance()),
        token: None,
    }
}

fn location(network_id: i64, name: &str) -> client::DeviceConfig {
    let pubkey = "FMY/cM6bkgAUd/DyMbTDNoGRKAfeopLXNGOIOtcIFEE=".to_owned();
    let interface = "[Interface]\nPrivateKey = YOUR_PRIVATE_KEY\nAddress = 10.10.0.3\nDNS = 10.10.0.1\n";
    let peer = "AllowedIPs = 10.0.0.0/8\nEndpoint = 198.51.100.7:51820\nPersistentKeepalive = 25";
    client::DeviceConfig {
        network_id,
        network_name: name.to_owned(),
        config: format!("{interface}\n[Peer]\nPublicKey = {pubkey}\n{peer}"),
        endpoint: "198.51.100.7:51820".to_owned(),
        assigned_ip: "10.10.0.3".to_owned(),
        pubkey,
        allowed_ips: "10.0.0.0/8".to_owned(),
        dns: Some("10.10.0.1".to_owned()),
        mfa_enabled: true,
        keepalive_interval: 25,
        location_mfa_mode: Some(client::LocationMfaMode::Internal.into()),
        service_location_mode: Some(client::ServiceLocationMode::Disabled.into()),
        posture_check_required: None,
    }
}

fn instance() -> client::InstanceInfo {
    client::InstanceInfo {
        id: "58e3b6ff-4396-4a93-99cb-79ca8ebb4487".to_owned(),
        name: "Postern".to_owned(),
        url: "https://core.example.org/".to_owned(),
        proxy_url: "https://edge.example.org/".to_owned(),
        username: "joe".to_owned(),
        client_traffic_policy: Some(0),
        ..client::InstanceInfo::default()
    }
}

fn enrollment_session() -> client::EnrollmentStartResponse {
    client::EnrollmentStartResponse {
        admin: Some(client::AdminInfo {
            name: "Ada Admin".to_owned(),
            phone_number: None,
            email: "admin@example.org".to_owned(),
        }),
        user: Some(client::InitialUserInfo {
            first_name: "Joe".to_owned(),
            last_name: "Doe".to_owned(),
            login: "joe".to_owned(),
            email: "joe@example.org".to_owned(),
            is_active: true,
            ..client::InitialUserInfo::default()
        }),
        // Far away, so that the session is open during the whole bench.
        deadline_timestamp: 4_000_000_000,
        final_page_content: "Welcome, Joe.".to_owned(),
        instance: Some(instance()),
        settings: Some(client::EnrollmentSettings { vpn_setup_optional: true, ..Default::default() }),
    }
}
