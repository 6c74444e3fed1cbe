//! Every stock client, played through a real NGINX, two Edges and a Core.

mod browser;
mod cli;
mod dg;
mod email;
mod legacy_desktop;
mod mid_flow;
mod mobile;
mod new_desktop;
mod posture;
mod remote;

use postern_tests::{
    Authenticator, Cluster, Outside, Setup,
    clients::{Caller, Instance, Mobile, NewDesktop},
    enrollment::PASSWORD,
    openid_provider::Account,
};

/// A person with an authenticator app and a desktop.
pub(crate) struct Person {
    pub(crate) desktop: NewDesktop,
    pub(crate) instance: Instance,
    app: Authenticator,
}

impl Person {
    /// Enrolled as the newer desktop does it. The app's code of now is still unused.
    pub(crate) async fn enroll(cluster: &Cluster, login: &str) -> Self {
        let token = cluster.invite(login).await.expect("a person is invited");
        let mut desktop = NewDesktop::new(&cluster.public_url());
        assert!(!desktop.start(&token).await.expect("start"), "nobody has enrolled yet");
        let instance = desktop.create_device("laptop").await.expect("create_device");
        let seed = desktop.start_factor("Totp").await.expect("code/start").expect("a seed");
        let app = Authenticator::new(&seed).expect("an authenticator app takes the seed");
        let code = app.code_before().await.expect("a code");
        assert_eq!(desktop.finish_factor("Totp", &code).await.expect("code/finish").len(), 8);
        desktop.activate_user(PASSWORD).await.expect("activate_user");
        Self { desktop, instance, app }
    }
}

/// A phone of this enrolled person, its key registered.
pub(crate) async fn with_a_phone(cluster: &Cluster, login: &str) -> (Mobile, Instance) {
    let token = cluster.commands().token_for(login).await.expect("one more token");
    let mut phone = Mobile::new(&cluster.public_url()).expect("a phone");
    phone.start(&token).await.expect("start");
    let instance = phone.create_device("phone").await.expect("create_device");
    phone.register(&instance).await.expect("register_mobile");
    (phone, instance)
}

/// A cluster whose people must have a second factor.
async fn strict_cluster() -> Cluster {
    let core_settings = vec![("MFA_REQUIRED", "true".to_owned())];
    Cluster::start_with(Setup { core_settings, ..Setup::default() }).await.expect("the cluster starts")
}

/// A cluster with a mail server and an identity provider, a location `Partner` that asks the provider, and an `Open` one.
struct Organisation {
    cluster: Cluster,
    outside: Outside,
    _files: tempfile::TempDir,
}

impl Organisation {
    async fn start() -> Self {
        let outside = Outside::start().await.expect("a mail server and a provider");
        let files = tempfile::tempdir().expect("a folder");
        let core_settings = outside.core_settings(files.path()).expect("settings");
        let setup = Setup { core_settings, ..Setup::default() };
        let cluster = Cluster::start_with(setup).await.expect("the cluster starts");
        cluster.commands().add_location("Partner", 79, "external").await.expect("location add");
        cluster.commands().add_location("Open", 78, "disabled").await.expect("location add");
        Self { cluster, outside, _files: files }
    }

    /// The provider signs this person in from now on.
    fn sign_in_as(&self, login: &str) {
        let account = Account::new(&format!("subject-of-{login}"), &format!("{login}@example.org"));
        self.outside.provider.sign_in_as(account);
    }
}

/// What the client did, in order.
fn steps(caller: &Caller) -> Vec<&'static str> {
    caller.steps().iter().map(|step| step.name).collect()
}
