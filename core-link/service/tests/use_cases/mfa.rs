//! The second factor: set-up, logins, and who may guess how often.

mod familiar;
mod guessing;
mod login;
mod mail_code;
mod midway;
mod parallel;
mod recovery;
mod setup;
pub(crate) mod support;
