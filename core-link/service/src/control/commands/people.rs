//! Commands about people.

use super::{Answer, CommandError, Commands};
use crate::{
    activity::Origin,
    control::{Enrollment, NewUser, UserCommand, UserRow},
    enrollment,
    openid::{self, LinkError},
    person::{self, NewPerson, PersonForm, PersonSummary},
};

impl Commands {
    pub(super) async fn user(&self, origin: &Origin, command: UserCommand) -> Result<Answer, CommandError> {
        match command {
            UserCommand::Add(user) => self.add_user(origin, user).await,
            UserCommand::List => self.list_users().await,
            UserCommand::Enroll { login, mail: false } => self.enroll_user(origin, login).await,
            UserCommand::Enroll { login, mail: true } => self.mail_invitation(origin, login).await,
            UserCommand::Disable { login } => self.disable_user(origin, login).await,
            UserCommand::Unlock { login } => self.unlock_user(origin, login).await,
            UserCommand::ResetMfa { login } => self.reset_mfa(origin, login).await,
            UserCommand::Link { login, subject } => self.link_user(origin, login, subject).await,
            UserCommand::Unlink { login } => self.unlink_user(origin, login).await,
            UserCommand::Delete { login } => self.delete_user(origin, login).await,
        }
    }

    async fn add_user(&self, origin: &Origin, user: NewUser) -> Result<Answer, CommandError> {
        let NewUser { login, email, first_name, last_name, phone, admin } = user;
        let form = PersonForm { login, email, first_name, last_name, phone, is_admin: admin };
        let (new, origin) = (NewPerson::try_from(form)?, origin.clone());
        let person = self.store.write(move |tx| Box::pin(async move { person::add(tx, &new, &origin).await })).await?;
        Ok(Answer::UserAdded { id: person.id.as_i64(), login: person.login, email: person.email })
    }

    async fn list_users(&self) -> Result<Answer, CommandError> {
        let people = self.store.read(|tx| Box::pin(person::list(tx))).await?;
        Ok(Answer::Users(people.into_iter().map(user_row).collect()))
    }

    async fn enroll_user(&self, origin: &Origin, login: String) -> Result<Answer, CommandError> {
        let origin = origin.clone();
        let invitation =
            self.store.write(move |tx| Box::pin(async move { enrollment::invite(tx, &login, &origin).await })).await?;
        Ok(Answer::Enrollment(Enrollment {
            login: invitation.person.login,
            token: invitation.token.expose().to_owned(),
            expires_at: invitation.expires_at.to_rfc3339(),
            url: self.public_url.clone(),
        }))
    }

    async fn mail_invitation(&self, origin: &Origin, login: String) -> Result<Answer, CommandError> {
        self.mailer()?;
        let origin = origin.clone();
        let invite =
            self.store.write(move |tx| Box::pin(async move { enrollment::invite_by_mail(tx, &login, &origin).await }));
        let invitation = invite.await?;
        let expires_at = invitation.expires_at.to_rfc3339();
        let (login, email) = (invitation.person.login, invitation.person.email);
        Ok(Answer::InvitationMailed { login, email, expires_at })
    }

    async fn disable_user(&self, origin: &Origin, login: String) -> Result<Answer, CommandError> {
        let origin = origin.clone();
        let person =
            self.store.write(move |tx| Box::pin(async move { person::disable(tx, &login, &origin).await })).await?;
        Ok(Answer::UserDisabled { login: person.login })
    }

    async fn unlock_user(&self, origin: &Origin, login: String) -> Result<Answer, CommandError> {
        let origin = origin.clone();
        let person =
            self.store.write(move |tx| Box::pin(async move { person::unlock(tx, &login, &origin).await })).await?;
        Ok(Answer::UserUnlocked { login: person.login })
    }

    async fn reset_mfa(&self, origin: &Origin, login: String) -> Result<Answer, CommandError> {
        let origin = origin.clone();
        let person =
            self.store.write(move |tx| Box::pin(async move { person::reset_mfa(tx, &login, &origin).await })).await?;
        Ok(Answer::MfaReset { login: person.login })
    }

    async fn link_user(&self, origin: &Origin, login: String, subject: String) -> Result<Answer, CommandError> {
        let origin = origin.clone();
        let issuer = self.openid_issuer.clone().ok_or(LinkError::NoProvider)?;
        let link = self.store.write(move |tx| {
            Box::pin(async move { openid::link(tx, &login, (issuer.as_str(), &subject), &origin).await })
        });
        Ok(Answer::UserLinked { login: link.await?.login })
    }

    async fn unlink_user(&self, origin: &Origin, login: String) -> Result<Answer, CommandError> {
        let origin = origin.clone();
        let person =
            self.store.write(move |tx| Box::pin(async move { openid::unlink(tx, &login, &origin).await })).await?;
        Ok(Answer::UserUnlinked { login: person.login })
    }

    async fn delete_user(&self, origin: &Origin, login: String) -> Result<Answer, CommandError> {
        let (who, origin) = (login.clone(), origin.clone());
        let delete = self.store.write(move |tx| Box::pin(async move { person::delete(tx, &who, &origin).await }));
        Ok(Answer::UserDeleted { login, devices: delete.await? })
    }
}

fn user_row(PersonSummary { person, has_factor, has_openid, is_locked, devices }: PersonSummary) -> UserRow {
    UserRow {
        id: person.id.as_i64(),
        login: person.login,
        email: person.email,
        first_name: person.first_name,
        last_name: person.last_name,
        enrolled: person.is_enrolled,
        disabled: person.is_disabled,
        mfa: has_factor,
        openid: has_openid,
        locked: is_locked,
        devices,
    }
}
