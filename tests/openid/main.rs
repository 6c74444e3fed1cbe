//! Sign-ins at an OpenID provider, right and wrong ones, against a Core without its programs.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod cores;
mod enrollment;
mod linking;
mod mfa;
mod mistrust;
mod reach;
mod support;
