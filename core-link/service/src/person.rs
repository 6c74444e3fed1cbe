//! Person.
