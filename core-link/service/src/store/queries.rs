//! What use cases ask of the database, each query under a name of its own.
//!
//! Written once for both databases, in the SQL that they share.

mod activity;
mod approvals;
mod attempts;
mod authenticators;
mod authorisations;
mod authority;
mod changes;
mod devices;
mod edges;
mod enrollment_tokens;
mod familiar_networks;
mod hosts;
mod instance;
mod leases;
mod locations;
mod mail_codes;
mod mails;
mod mfa_sessions;
mod openid;
mod operations;
mod password_resets;
mod peers;
mod people;
mod phone_keys;
mod polling;
mod posture;
mod recovery_codes;
mod sweeping;
mod waiters;
mod web_certificate;

pub(super) use polling::POLLS_AT_ONCE;

use super::tx::Tx;
