//! Stock clients, played: each calls what the real one calls, in its order, with its fields, headers, cookies and time limits,
//! and checks of an answer what the real one needs.
//!
//! Every step prints a line. A player gives up at the first answer that its client could not use.

mod answer;
pub mod browser;
mod caller;
pub mod cli;
pub mod cookies;
pub mod desktop;
pub mod desktop_mfa;
pub mod dg;
pub mod legacy_desktop;
pub mod mobile;
pub mod new_desktop;
pub mod posture;
mod signing;
pub mod waiting;

pub use self::{
    browser::Browser,
    caller::{Caller, Step},
    cli::Cli,
    desktop::{Instance, Location, Polled},
    desktop_mfa::{Finished, Login, Logins},
    dg::Dg,
    legacy_desktop::LegacyDesktop,
    mobile::Mobile,
    new_desktop::NewDesktop,
    waiting::Waiting,
};

/// `MfaMethod` on the wire.
pub const TOTP: i32 = 0;
pub const EMAIL: i32 = 1;
pub const OIDC: i32 = 2;
pub const BIOMETRIC: i32 = 3;
pub const MOBILE_APPROVE: i32 = 4;
