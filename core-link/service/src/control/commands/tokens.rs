//! Commands about tokens.

use super::{Answer, CommandError, Commands};
use crate::{
    activity::Origin,
    control::{TokenCommand, TokenHolder},
    device::{self, DeviceId},
    enrollment,
};

impl Commands {
    pub(super) async fn token(&self, origin: &Origin, command: TokenCommand) -> Result<Answer, CommandError> {
        let TokenCommand::Revoke(TokenHolder { login, device }) = command;
        match (login, device) {
            (Some(login), None) => self.revoke_enrollment(origin, login).await,
            (None, Some(device)) => self.revoke_polling(origin, DeviceId::new(device)).await,
            // The command line lets neither through.
            (None, None) | (Some(_), Some(_)) => Err(CommandError::NeitherOrBoth),
        }
    }

    async fn revoke_enrollment(&self, origin: &Origin, login: String) -> Result<Answer, CommandError> {
        let (name, origin) = (login.clone(), origin.clone());
        let revoke = self.store.write(move |tx| Box::pin(async move { enrollment::revoke(tx, &name, &origin).await }));
        Ok(Answer::PersonTokensRevoked { login, revoked: revoke.await? })
    }

    async fn revoke_polling(&self, origin: &Origin, id: DeviceId) -> Result<Answer, CommandError> {
        let origin = origin.clone();
        let revoke = self.store.write(move |tx| Box::pin(async move { device::revoke_tokens(tx, id, &origin).await }));
        Ok(Answer::DeviceTokensRevoked { device: id.as_i64(), revoked: revoke.await? })
    }
}
