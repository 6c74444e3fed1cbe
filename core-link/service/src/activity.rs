//! Activity.
