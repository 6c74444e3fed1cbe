//! Location.
