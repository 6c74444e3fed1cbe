//! Mails on their way to a mail server that may be anything but helpful.

mod delivery;
mod scene;
mod secure;
mod whole;
