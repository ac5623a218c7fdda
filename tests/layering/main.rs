//! The rules between crates, read from `cargo metadata` and from git: arrows go one
//! way, each outside library has one owner, and the repository keeps its shape.
#![allow(clippy::expect_used, reason = "a test that cannot read its subject has failed")]

mod edges;
mod shape;
