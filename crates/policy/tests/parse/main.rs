//! What a policy file may say, and what is said of one that is wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod expressions;
mod good;
mod hostile;
mod refusals;

use std::fmt::Write as _;

use expect_test::Expect;
use portcullis_errors::Hint as _;
use portcullis_model::Timestamp;
use portcullis_policy::Policy;

const HEAD: &str = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: baseline}\n";

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn check(spec: &str, expected: Expect) {
    check_file(&format!("{HEAD}{spec}"), expected);
}

fn check_file(text: &str, expected: Expect) {
    let mut said = String::new();
    match Policy::parse(text, "p.yaml", now()) {
        Ok(policies) => policies.iter().for_each(|policy| writeln!(said, "{}", policy.canonical_json()).unwrap()),
        Err(error) => {
            writeln!(said, "{error}").unwrap();
            if let Some(hint) = error.hint() {
                writeln!(said, "hint: {hint}").unwrap();
            }
        }
    }
    expected.assert_eq(&said);
}
