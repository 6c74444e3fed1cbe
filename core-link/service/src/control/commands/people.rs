//! Commands about people and their devices.

use super::{Answer, CommandError, Commands};
use crate::{
    activity::Origin,
    control::{DeviceCommand, DeviceRow, Enrollment, NewUser, UserCommand, UserRow},
    device::{self, DeviceId},
    enrollment,
    person::{self, NewPerson, PersonForm, PersonSummary},
};

impl Commands {
    pub(super) async fn user(&self, origin: &Origin, command: UserCommand) -> Result<Answer, CommandError> {
        match command {
            UserCommand::Add(user) => self.add_user(origin, user).await,
            UserCommand::List => self.list_users().await,
            UserCommand::Enroll { login } => self.enroll_user(origin, login).await,
            UserCommand::Disable { login } => self.disable_user(origin, login).await,
        }
    }

    pub(super) async fn device(&self, origin: &Origin, command: DeviceCommand) -> Result<Answer, CommandError> {
        match command {
            DeviceCommand::List { user } => self.list_devices(user).await,
            DeviceCommand::Remove { id } => self.remove_device(origin, id).await,
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
            login: invitation.login,
            token: invitation.token.expose().to_owned(),
            expires_at: invitation.expires_at.to_rfc3339(),
            url: self.public_url.clone(),
        }))
    }

    async fn disable_user(&self, origin: &Origin, login: String) -> Result<Answer, CommandError> {
        let origin = origin.clone();
        let person =
            self.store.write(move |tx| Box::pin(async move { person::disable(tx, &login, &origin).await })).await?;
        Ok(Answer::UserDisabled { login: person.login })
    }

    async fn list_devices(&self, user: Option<String>) -> Result<Answer, CommandError> {
        let devices = self.store.read(|tx| Box::pin(async move { device::list(tx, user.as_deref()).await })).await?;
        let rows = devices.into_iter().map(|device| DeviceRow {
            id: device.device.id.as_i64(),
            name: device.device.name,
            user: device.login,
            public_key: device.device.public_key,
            addresses: device.addresses,
            created_at: device.device.created_at.to_rfc3339(),
        });
        Ok(Answer::Devices(rows.collect()))
    }

    async fn remove_device(&self, origin: &Origin, id: i64) -> Result<Answer, CommandError> {
        let (id, origin) = (DeviceId::new(id), origin.clone());
        self.store.write(move |tx| Box::pin(async move { device::remove(tx, id, &origin).await })).await?;
        Ok(Answer::DeviceRemoved { id: id.as_i64() })
    }
}

fn user_row(PersonSummary { person, devices }: PersonSummary) -> UserRow {
    UserRow {
        id: person.id.as_i64(),
        login: person.login,
        email: person.email,
        first_name: person.first_name,
        last_name: person.last_name,
        enrolled: person.is_enrolled,
        disabled: person.is_disabled,
        devices,
    }
}
