//! What an organisation has beside Postern: a mail server and an identity provider.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::{
    MailSink, OpenIdProvider, eventually,
    mail_sink::{Demands, Encryption, Mail},
    openid_provider::{CLIENT_ID, CLIENT_SECRET},
};

/// How long a mail may be on its way.
const MAIL_LIMIT: Duration = Duration::from_secs(20);
pub const SMTP_PASSWORD: &str = "canary-smtp-password";

/// Both, running.
#[derive(Debug)]
pub struct Outside {
    pub mails: MailSink,
    pub provider: OpenIdProvider,
}

impl Outside {
    pub async fn start() -> Result<Self> {
        let login = Some(("postern".to_owned(), SMTP_PASSWORD.to_owned()));
        let mails = MailSink::start_with(Demands { encryption: Encryption::None, login }).await?;
        Ok(Self { mails, provider: OpenIdProvider::start().await? })
    }

    /// Settings that make a Core use both, without their prefix. `folder` gets the files that they name.
    pub fn core_settings(&self, folder: &Path) -> Result<Vec<(&'static str, String)>> {
        let secret = folder.join("openid-client-secret");
        fs::write(&secret, CLIENT_SECRET).context("cannot write the client's secret")?;
        let mut settings = self.mails.settings(folder)?;
        settings.extend([
            ("MAIL_CODES", "true".to_owned()),
            ("POSTURE", "report".to_owned()),
            ("OPENID_ISSUER", self.provider.issuer().to_owned()),
            ("OPENID_CLIENT_ID", CLIENT_ID.to_owned()),
            ("OPENID_CLIENT_SECRET_FILE", secret.display().to_string()),
            ("OPENID_NAME", "Acme".to_owned()),
        ]);
        Ok(settings)
    }

    /// The code in the mail to this address that follows the first `seen` of its kind.
    pub async fn code_for(&self, address: &str, seen: usize) -> Result<String> {
        let mail = self.mail(address, "Your code", seen).await?;
        let words = mail.text.lines().map(str::trim);
        let is_code = |word: &&str| word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_digit());
        Ok(words.clone().find(is_code).with_context(|| format!("no code in {}", mail.text))?.to_owned())
    }

    /// The token of the first link to choose a password.
    pub async fn reset_token_for(&self, address: &str) -> Result<String> {
        let mail = self.mail(address, "Choose a new password", 0).await?;
        // A link that is too long for a line comes in quoted-printable.
        let text = mail.text.replace("=\r\n", "").replace("=3D", "=");
        let (_, after) = text.split_once("token=").with_context(|| format!("no token in {text}"))?;
        Ok(after.chars().take_while(char::is_ascii_alphanumeric).collect())
    }

    async fn mail(&self, address: &str, subject: &str, seen: usize) -> Result<Mail> {
        let ours = |mail: &Mail| mail.subject().contains(subject) && mail.to.iter().any(|to| to.contains(address));
        let find = || self.mails.mails().into_iter().filter(ours).nth(seen);
        eventually(&format!("{subject} for {address}"), MAIL_LIMIT, || async { find().is_some() }).await?;
        find().context("nothing is taken away")
    }
}
