//! The whole way of one person, with curl alone: from an enrollment token to a location that needs a second factor.
//!
//! Each step checks its answer field by field, as stock clients read it.

use base64::{Engine, engine::general_purpose::STANDARD};
use postern_tests::{
    Authenticator, Cluster, Curl,
    enrollment::{PASSWORD, public_key},
};
use serde_json::{Value, json};

/// One person under way.
pub(crate) struct Journey {
    login: String,
    token: String,
    public_url: String,
    public_key: String,
    curl: Curl,
    /// What earlier steps gave: the instance, the device's configuration, secrets.
    instance: Value,
    authenticator: Option<Authenticator>,
    configs: Value,
    polling_token: String,
    session: String,
    preshared_key: String,
}

/// The steps in the order in which a stock desktop takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Start,
    StartFactor,
    FinishFactor,
    CreateDevice,
    Activate,
    StartLogin,
    FinishLogin,
    Poll,
}

pub(crate) const STEPS: [Step; 8] = [
    Step::Start,
    Step::StartFactor,
    Step::FinishFactor,
    Step::CreateDevice,
    Step::Activate,
    Step::StartLogin,
    Step::FinishLogin,
    Step::Poll,
];

impl Journey {
    pub(crate) async fn begin(cluster: &Cluster, login: &str) -> Self {
        let public_url = format!("http://{}/", cluster.nginx.public);
        let jar = cluster.folder().join(format!("{login}.cookies"));
        Self {
            login: login.to_owned(),
            token: cluster.invite(login).await.expect("a person is invited"),
            curl: Curl::new(public_url.trim_end_matches('/'), &jar),
            public_url,
            public_key: public_key().expect("a key"),
            instance: Value::Null,
            authenticator: None,
            configs: Value::Null,
            polling_token: String::new(),
            session: String::new(),
            preshared_key: String::new(),
        }
    }

    pub(crate) async fn take(&mut self, step: Step) {
        match step {
            Step::Start => self.start().await,
            Step::StartFactor => self.start_factor().await,
            Step::FinishFactor => self.finish_factor().await,
            Step::CreateDevice => self.create_device().await,
            Step::Activate => self.activate().await,
            Step::StartLogin => self.start_login().await,
            Step::FinishLogin => self.finish_login().await,
            Step::Poll => self.poll().await,
        }
    }

    /// What `wg syncconf` gets for this device.
    pub(crate) fn peer(&self) -> String {
        let addresses = self.configs[0]["assigned_ip"].as_str().expect("addresses");
        let allowed: Vec<_> = addresses.split(',').map(|address| format!("{address}/{}", width(address))).collect();
        let (key, preshared) = (&self.public_key, &self.preshared_key);
        format!("[Peer]\nPublicKey = {key}\nPresharedKey = {preshared}\nAllowedIPs = {}\n", allowed.join(","))
    }

    async fn start(&mut self) {
        let body = self.post("/api/v1/enrollment/start", &json!({ "token": self.token })).await;
        self.instance = body["instance"].clone();
        assert!(self.instance["id"].as_str().is_some_and(|id| id.len() == 36), "{body}");
        let deadline = body["deadline_timestamp"].as_i64().expect("a time");
        assert!(deadline > 1_767_225_600, "{body}");
        assert!(body["final_page_content"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        let expected = json!({
            "admin": { "name": "Administrator", "phone_number": null, "email": "admin@localhost" },
            "user": {
                "first_name": "Joe", "last_name": "Doe", "login": self.login, "email": format!("{}@example.org", self.login),
                "phone_number": null, "is_active": true, "device_names": [], "enrolled": false, "is_admin": false,
            },
            "deadline_timestamp": deadline,
            "final_page_content": body["final_page_content"],
            "instance": {
                "id": self.instance["id"], "name": "Postern", "url": self.public_url, "proxy_url": self.public_url,
                "username": self.login, "enterprise_enabled": true, "disable_all_traffic": false,
                "openid_display_name": null, "client_traffic_policy": 0,
            },
            "settings": {
                "vpn_setup_optional": true, "only_client_activation": false, "admin_device_management": false,
                "smtp_configured": false, "mfa_required": false,
            },
        });
        assert_eq!(body, expected);
        assert!(self.curl.cookies().contains("defguard_proxy"), "the jar is empty");
    }

    async fn start_factor(&mut self) {
        let body = self.post("/api/v1/enrollment/register-mfa/code/start", &json!({ "method": "Totp" })).await;
        let seed = body["totp_secret"].as_str().expect("a seed");
        let is_base32 = seed.chars().all(|c| matches!(c, 'A'..='Z' | '2'..='7'));
        assert!(seed.len() == 32 && is_base32, "20 bytes in base32 without padding: {seed}");
        self.authenticator = Some(Authenticator::new(seed).expect("an authenticator app takes the seed"));
        assert_eq!(body, json!({ "totp_secret": seed }));
    }

    async fn finish_factor(&mut self) {
        let code = self.authenticator().code_before().await.expect("a code");
        let request = json!({ "code": code, "method": "Totp" });
        let body = self.post("/api/v1/enrollment/register-mfa/code/finish", &request).await;
        let codes: Vec<String> = serde_json::from_value(body["recovery_codes"].clone()).expect("a list of texts");
        assert_eq!(codes.len(), 8, "{codes:?}");
        for code in &codes {
            assert!(code.len() == 16 && code.chars().all(|c| c.is_ascii_alphanumeric()), "{code}");
        }
        assert_eq!(body, json!({ "recovery_codes": codes }));
    }

    async fn create_device(&mut self) {
        let request = json!({ "name": "laptop", "pubkey": self.public_key });
        let body = self.post("/api/v1/enrollment/create_device", &request).await;
        let (device, config) = (&body["device"], &body["configs"][0]);
        for number in [&device["id"], &device["user_id"], &device["created_at"], &config["network_id"]] {
            assert!(number.as_i64().is_some_and(|number| number > 0), "{body}");
        }
        assert_is_key(&config["pubkey"]);
        let (addresses, location_key) = (config["assigned_ip"].as_str().expect("addresses"), &config["pubkey"]);
        assert!(addresses.starts_with("10.77.0.") && addresses.contains(",fd00:77::"), "{addresses}");
        let text = format!(
            "[Interface]\nPrivateKey = YOUR_PRIVATE_KEY\nAddress = {addresses}\n\n[Peer]\nPublicKey = {}\n\
             AllowedIPs = 10.77.0.0/16\nEndpoint = vpn.example.org:51820\nPersistentKeepalive = 25",
            location_key.as_str().expect("a key")
        );
        let expected = json!({
            "device": {
                "id": device["id"], "name": "laptop", "pubkey": self.public_key, "user_id": device["user_id"],
                "created_at": device["created_at"],
            },
            "configs": [{
                "network_id": config["network_id"], "network_name": "Office", "config": text,
                "endpoint": "vpn.example.org:51820", "assigned_ip": addresses, "pubkey": location_key,
                "allowed_ips": "10.77.0.0/16", "dns": null, "mfa_enabled": true, "keepalive_interval": 25,
                "location_mfa_mode": 2, "service_location_mode": 1, "posture_check_required": null,
            }],
            "instance": self.instance,
            "token": body["token"],
        });
        assert_eq!(body, expected);
        self.configs = body["configs"].clone();
        self.polling_token = token_of(&body);
    }

    async fn activate(&mut self) {
        let request = json!({ "password": PASSWORD, "phone_number": "+48 123 456 789" });
        let body = self.post("/api/v1/enrollment/activate_user", &request).await;
        assert_eq!(body, json!({}));
        assert!(!self.curl.cookies().contains("defguard_proxy"), "the cookie is still there");
    }

    async fn start_login(&mut self) {
        let location = &self.configs[0]["network_id"];
        let request = json!({ "location_id": location, "pubkey": self.public_key, "method": 0 });
        let body = self.post("/api/v1/client-mfa/start", &request).await;
        self.session = token_of(&body);
        assert_eq!(body, json!({ "token": self.session, "challenge": null }));
    }

    async fn finish_login(&mut self) {
        let request = json!({ "token": self.session, "code": self.authenticator().code() });
        let body = self.post("/api/v1/client-mfa/finish", &request).await;
        assert_is_key(&body["preshared_key"]);
        assert_eq!(body, json!({ "preshared_key": body["preshared_key"], "token": null }));
        self.preshared_key = body["preshared_key"].as_str().expect("a key").to_owned();
    }

    async fn poll(&mut self) {
        let body = self.post("/api/v1/poll", &json!({ "token": self.polling_token })).await;
        let config = &body["device_config"];
        assert_eq!(config["device"]["pubkey"], self.public_key);
        let expected = json!({ "device_config": {
            "device": config["device"], "configs": self.configs, "instance": self.instance, "token": null,
        } });
        assert_eq!(body, expected);
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, body) = self.curl.post(path, body).await.expect(path);
        assert_eq!(status, 200, "{path} for {}: {body}", self.login);
        body
    }

    fn authenticator(&self) -> &Authenticator {
        self.authenticator.as_ref().expect("the set-up was started")
    }
}

fn token_of(body: &Value) -> String {
    let token = body["token"].as_str().expect("a token");
    assert!(token.len() == 32 && token.chars().all(|c| c.is_ascii_alphanumeric()), "{token}");
    token.to_owned()
}

/// 32 bytes in base64.
fn assert_is_key(value: &Value) {
    let key = value.as_str().and_then(|text| STANDARD.decode(text).ok());
    assert_eq!(key.map(|key| key.len()), Some(32), "{value}");
}

fn width(address: &str) -> u8 {
    if address.contains(':') { 128 } else { 32 }
}
