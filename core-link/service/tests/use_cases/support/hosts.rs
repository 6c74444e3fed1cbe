//! Hosts, and devices as an administrator sees them.

use postern_core::{
    device::{self, AddHostError, AddedHost, DeviceId, DeviceName, DeviceSummary, NewHost, NextStep, PublicKey},
    location::{self, LocationForm, MfaMode, NewLocation},
};

use super::{Core, cli, location_form, start};

impl Core {
    pub(crate) async fn add_location_without_mfa(&self, name: &str, ranges: &[&str]) {
        let new = NewLocation::try_from(LocationForm { mfa_mode: MfaMode::Disabled, ..location_form(name, ranges) });
        let new = new.unwrap();
        let add = self.store.write(move |tx| Box::pin(async move { location::add(tx, &new, &cli()).await }));
        add.await.unwrap();
    }

    pub(crate) async fn add_host(
        &self,
        name: &str,
        location: &str,
        public_key: Option<String>,
    ) -> Result<AddedHost, AddHostError> {
        let new = NewHost {
            name: DeviceName::parse(name).unwrap(),
            location: location.to_owned(),
            public_key: public_key.map(|key| PublicKey::parse(&key).unwrap()),
        };
        self.store.write(move |tx| Box::pin(async move { device::add_host(tx, &new, &cli()).await })).await
    }

    /// In the location Servers.
    pub(crate) async fn token_of_host(&self, name: &str) -> String {
        token(self.add_host(name, "Servers", None).await.unwrap())
    }

    pub(crate) async fn host_session(&self, name: &str) -> String {
        let token = self.token_of_host(name).await;
        self.ask(start(&token)).await.unwrap();
        token
    }

    pub(crate) async fn devices(&self) -> Vec<DeviceSummary> {
        self.store.read(|tx| Box::pin(device::list(tx, None))).await.unwrap()
    }

    pub(crate) async fn remove_device(&self, id: i64) {
        let remove =
            self.store.write(move |tx| Box::pin(async move { device::remove(tx, DeviceId::new(id), &cli()).await }));
        remove.await.unwrap();
    }
}

pub(crate) fn token(added: AddedHost) -> String {
    let NextStep::Enroll { token, .. } = added.next else { panic!("no token was made") };
    token.expose().to_owned()
}
