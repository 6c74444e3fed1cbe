//! Commands about devices.

use super::{Answer, CommandError, Commands};
use crate::{
    activity::Origin,
    control::{DeviceCommand, DeviceRow, HostInvited, NewHost, PostureRow},
    device::{self, AddedHost, DeviceId, DeviceName, DeviceSummary, NextStep, PublicKey},
    posture,
};

impl Commands {
    pub(super) async fn device(&self, origin: &Origin, command: DeviceCommand) -> Result<Answer, CommandError> {
        match command {
            DeviceCommand::Add(host) => self.add_host(origin, host).await,
            DeviceCommand::List { user } => self.list_devices(user).await,
            DeviceCommand::Posture { id } => self.show_posture(id).await,
            DeviceCommand::Remove { id } => self.remove_device(origin, id).await,
        }
    }

    async fn add_host(&self, origin: &Origin, typed: NewHost) -> Result<Answer, CommandError> {
        let name = DeviceName::parse(&typed.name)?;
        let public_key = typed.public_key.as_deref().map(PublicKey::parse).transpose()?;
        let (new, origin) = (device::NewHost { name, location: typed.location, public_key }, origin.clone());
        let add = self.store.write(move |tx| Box::pin(async move { device::add_host(tx, &new, &origin).await }));
        Ok(self.host_added(add.await?))
    }

    async fn list_devices(&self, user: Option<String>) -> Result<Answer, CommandError> {
        let devices = self.store.read(|tx| Box::pin(async move { device::list(tx, user.as_deref()).await })).await?;
        Ok(Answer::Devices(devices.into_iter().map(row).collect()))
    }

    async fn show_posture(&self, id: i64) -> Result<Answer, CommandError> {
        let id = DeviceId::new(id);
        let newest = self.store.read(|tx| Box::pin(async move { posture::newest(tx, id).await })).await?;
        let reported_at = newest.as_ref().map(|stored| stored.reported_at.to_rfc3339());
        let report = newest.map(|stored| stored.report);
        Ok(Answer::Posture(PostureRow { device: id.as_i64(), reported_at, report }))
    }

    async fn remove_device(&self, origin: &Origin, id: i64) -> Result<Answer, CommandError> {
        let (id, origin) = (DeviceId::new(id), origin.clone());
        self.store.write(move |tx| Box::pin(async move { device::remove(tx, id, &origin).await })).await?;
        Ok(Answer::DeviceRemoved { id: id.as_i64() })
    }

    fn host_added(&self, added: AddedHost) -> Answer {
        let AddedHost { id, name, location, next } = added;
        let (id, url) = (id.as_i64(), self.public_url.clone());
        match next {
            NextStep::Enroll { token, expires_at } => {
                let (token, expires_at) = (token.expose().to_owned(), expires_at.to_rfc3339());
                Answer::HostInvited(HostInvited { id, name, location, token, expires_at, url })
            }
            NextStep::Connect { config } => Answer::HostAdded { id, name, location, url, config },
        }
    }
}

fn row(device: DeviceSummary) -> DeviceRow {
    DeviceRow {
        id: device.id.as_i64(),
        name: device.name,
        user: device.login,
        public_key: device.public_key,
        addresses: device.addresses,
        created_at: device.created_at.to_rfc3339(),
    }
}
