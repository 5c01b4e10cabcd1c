//! Tests of the advisory database: what records mean, what a file of them answers, and what damage does to it.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod damage;
mod file;
mod odd_records;
mod records;
mod sources;
mod support;
