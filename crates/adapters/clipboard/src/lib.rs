//! The desktop clipboard.
