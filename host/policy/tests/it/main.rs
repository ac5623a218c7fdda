//! The policy crate from outside: documents, decisions, the shipped files, properties.

#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod decisions;
mod documents;
mod fixtures;
mod matrix;
mod properties;
mod shipped;
