//! Password.
