//! Commands about mail.

use super::{Answer, CommandError, Commands};
use crate::{control::MailCommand, mail::Mailer};

impl Commands {
    pub(super) async fn mail(&self, command: MailCommand) -> Result<Answer, CommandError> {
        match command {
            MailCommand::Test { address } => self.test_mail(address).await,
        }
    }

    pub(super) fn mailer(&self) -> Result<&Mailer, CommandError> {
        self.mailer.as_deref().ok_or(CommandError::NoMail)
    }

    async fn test_mail(&self, address: String) -> Result<Answer, CommandError> {
        self.mailer()?.test(&address).await.map_err(CommandError::Mail)?;
        Ok(Answer::MailTaken { address })
    }
}
