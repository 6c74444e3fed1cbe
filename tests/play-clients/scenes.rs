//! What each client does, in the order in which people meet them.

use anyhow::{Context, Result};
use postern_tests::{
    Authenticator, Commands, Deployment, Outside,
    clients::{
        BIOMETRIC, Browser, Cli, Dg, EMAIL, Instance, LegacyDesktop, MOBILE_APPROVE, Mobile, NewDesktop, OIDC, TOTP,
    },
    enrollment::PASSWORD,
    openid_provider::Account,
};

/// A location with no second factor: for hosts, and for machines that tell how they are.
const OPEN: &str = "Open";
/// A location that asks the identity provider.
const PARTNER: &str = "Partner";
const NEW_PASSWORD: &str = "Another-9f27-long-one!";

/// What the players need.
#[derive(Debug)]
pub(crate) struct Stage {
    url: String,
    core: Commands,
    outside: Outside,
}

/// Ann, who has a desktop.
struct Ann {
    instance: Instance,
}

impl Stage {
    pub(crate) async fn set(deployment: &Deployment, outside: Outside) -> Result<Self> {
        let core = deployment.commands();
        core.add_location(OPEN, 78, "disabled").await?;
        core.add_location(PARTNER, 79, "external").await?;
        outside.provider.sign_in_as(Account::new("subject-of-ann", "ann@example.org"));
        Ok(Self { url: deployment.public_url(), core, outside })
    }

    pub(crate) async fn play(&self) -> Result<()> {
        self.legacy_desktop().await?;
        let ann = self.new_desktop().await?;
        let phone = self.mobile(&ann).await?;
        self.cli(&ann, phone).await?;
        self.dg().await?;
        self.mail().await?;
        self.password().await?;
        self.provider(&ann).await
    }

    async fn legacy_desktop(&self) -> Result<()> {
        let token = self.core.invite("joe").await?;
        let mut desktop = LegacyDesktop::new(&self.url);
        desktop.start(&token).await?;
        desktop.info().await?;
        let app = Authenticator::new(&desktop.start_factor("Totp").await?.context("no seed")?)?;
        desktop.finish_factor("Totp", &app.code_before().await?).await?;
        let instance = desktop.create_device("laptop").await?;
        desktop.activate_user(PASSWORD).await?;
        desktop.poll(&instance).await?;
        let location = instance.location(2)?.clone();
        let mut logins = desktop.logins(&instance);
        let login = logins.start(&location, TOTP).await?;
        logins.finish(&login, &app.code()).await?;
        let token = self.core.token_for("joe").await?;
        desktop.start(&token).await?;
        desktop.network_info(&instance).await.map(drop)
    }

    async fn new_desktop(&self) -> Result<Ann> {
        let token = self.core.invite("ann").await?;
        let mut desktop = NewDesktop::new(&self.url);
        desktop.start(&token).await?;
        let instance = desktop.create_device("laptop").await?;
        let app = Authenticator::new(&desktop.start_factor("Totp").await?.context("no seed")?)?;
        desktop.finish_factor("Totp", &app.code_before().await?).await?;
        desktop.activate_user(PASSWORD).await?;
        desktop.poll(&instance).await?;
        let location = instance.location(2)?.clone();
        let mut logins = desktop.logins(&instance);
        let login = logins.start(&location, TOTP).await?;
        logins.finish(&login, &app.code()).await?;
        let token = self.core.token_for("ann").await?;
        desktop.start(&token).await?;
        desktop.network_info(&instance).await?;
        Ok(Ann { instance })
    }

    /// A phone that logs in by finger, and says yes for a desktop.
    async fn mobile(&self, ann: &Ann) -> Result<Mobile> {
        let token = self.core.token_for("ann").await?;
        let mut phone = Mobile::new(&self.url)?;
        phone.start(&token).await?;
        let instance = phone.create_device("phone").await?;
        phone.register(&instance).await?;
        phone.poll(&instance).await?;
        let location = instance.location(2)?.clone();
        let login = phone.start_login(&instance, &location, BIOMETRIC).await?;
        let signature = phone.sign(&login)?;
        phone.finish_login(&instance, &login, &signature).await?;
        phone.connect_with_posture(&instance, instance.named(OPEN)?).await?;

        let mut desktop = NewDesktop::new(&self.url);
        desktop.connect_with_posture(&ann.instance, ann.instance.named(OPEN)?).await?;
        let mut logins = desktop.logins(&ann.instance);
        let login = logins.start(&location, MOBILE_APPROVE).await?;
        let waiting = logins.wait_for_phone(&login).await?;
        phone.approve(&ann.instance.proxy_url, &logins.qr_code(&login)?).await?;
        logins.key_of(waiting).await?;
        Ok(phone)
    }

    async fn cli(&self, ann: &Ann, mut phone: Mobile) -> Result<()> {
        let location = ann.instance.location(2)?.clone();
        let mut cli = Cli::new(&ann.instance);
        let mut logins = cli.logins();
        let login = logins.start(&location, MOBILE_APPROVE).await?;
        let waiting = logins.wait_for_phone(&login).await?;
        phone.approve(&ann.instance.proxy_url, &logins.qr_code(&login)?).await?;
        logins.key_of(waiting).await.map(drop)
    }

    async fn dg(&self) -> Result<()> {
        let added = self.core.json(&["device", "add", "printer", "--location", OPEN]).await?;
        let mut dg = Dg::new(&self.url);
        dg.start(added["token"].as_str().context("no token for the host")?).await?;
        let host = dg.create_device().await?;
        dg.poll(&host).await.map(drop)
    }

    /// A person whose second factor comes by mail.
    async fn mail(&self) -> Result<()> {
        let token = self.core.invite("eve").await?;
        let mut desktop = LegacyDesktop::new(&self.url);
        desktop.start(&token).await?;
        desktop.start_factor("Email").await?;
        desktop.finish_factor("Email", &self.outside.code_for("eve@example.org", 0).await?).await?;
        let instance = desktop.create_device("laptop").await?;
        desktop.activate_user(PASSWORD).await?;
        let location = instance.location(2)?.clone();
        let mut logins = desktop.logins(&instance);
        let login = logins.start(&location, EMAIL).await?;
        logins.finish(&login, &self.outside.code_for("eve@example.org", 1).await?).await.map(drop)
    }

    /// A password that was forgotten.
    async fn password(&self) -> Result<()> {
        let mut browser = Browser::new(&self.url);
        browser.open("page /password", "/password").await?;
        browser.request_reset("joe@example.org").await?;
        let token = self.outside.reset_token_for("joe@example.org").await?;
        browser.open("page /password-reset", &format!("/password-reset?token={token}")).await?;
        browser.start_reset(&token).await?;
        browser.reset(&token, NEW_PASSWORD).await
    }

    /// Ann at the identity provider: for one more device, and for a login that her command line has begun.
    async fn provider(&self, ann: &Ann) -> Result<()> {
        let mut browser = Browser::new(&self.url);
        browser.open("page /", "/").await?;
        let callback = browser.openid_enrollment().await?;
        let callback = browser.sign_in(&callback).await?;
        let token = browser.openid_callback(&callback).await?;
        browser.open("page //open-desktop", &format!("//open-desktop?token={token}")).await?;
        let mut desktop = NewDesktop::new(&self.url);
        desktop.start(&token).await?;
        desktop.create_device("second laptop").await?;

        let partner = ann.instance.named(PARTNER)?.clone();
        let mut cli = Cli::new(&ann.instance);
        let mut logins = cli.logins();
        let login = logins.start(&partner, OIDC).await?;
        logins.ask(&login).await?;
        browser.open("page /openid/mfa", &format!("/openid/mfa?token={}", login.token)).await?;
        let provider = browser.openid_mfa(&login.token).await?;
        let callback = browser.sign_in(&provider).await?;
        browser.open("page /openid/mfa/callback", &callback).await?;
        browser.openid_mfa_callback(&callback).await?;
        logins.wait_for_browser(&login).await.map(drop)
    }
}
