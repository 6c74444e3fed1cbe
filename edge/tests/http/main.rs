//! The HTTP side over real sockets, with a Core at the other end of a real tunnel.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that cannot go on has failed")]

mod answers;
mod bad_bodies;
mod connections;
mod cookies;
mod core_trouble;
mod cross_site;
mod desktop;
mod enrollment;
mod harness;
mod headers;
mod hostile_core;
mod json_routes;
mod mfa;
mod mutation;
mod openid;
mod pages;
mod password_reset;
mod posture;
mod proxies;
mod routes;
mod spoofed;
mod statuses;
mod table;
mod targets;
mod websocket_limits;
mod websockets;
