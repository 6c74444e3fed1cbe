//! Phones: their keys, logins with them, and approvals for other devices.

mod approving;
mod biometric;
mod registering;
pub(crate) mod support;
mod waiting;
