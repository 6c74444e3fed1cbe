//! The command-line client (2.1): it logs in for an instance that a desktop has enrolled.

use super::{
    Instance, Logins,
    caller::Caller,
    desktop::{POLL_PATIENCE, right_headers},
};

/// One run of the program. Every answer must come within 5 seconds.
#[derive(Debug, Clone)]
pub struct Cli {
    pub caller: Caller,
    instance: Instance,
}

impl Cli {
    pub fn new(instance: &Instance) -> Self {
        let caller = Caller::new("client-cli", POLL_PATIENCE, &right_headers("linux", "Linux"));
        Self { caller, instance: instance.clone() }
    }

    pub fn logins(&mut self) -> Logins<'_> {
        Logins::of_a_newer_client(&mut self.caller, &self.instance)
    }
}
