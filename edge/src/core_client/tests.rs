//! Calls over tunnels without sockets, in paused time: what is asked again, where, and what is never.

mod choice;
mod core;
mod overload;
mod repeats;
mod uncertain;
