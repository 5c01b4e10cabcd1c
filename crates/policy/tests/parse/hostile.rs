//! Texts that nobody means well: bombs, and anything at all.

use std::fmt::Write as _;

use portcullis_policy::{MAX_POLICY_BYTES, Policy};
use proptest::prelude::*;

use crate::{HEAD, now};

#[test]
fn bombs_are_refused_quickly() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (name, before) in ('b'..='k').zip('a'..) {
        writeln!(bomb, "{name}: &{name} [{}]", vec![format!("*{before}"); 10].join(",")).unwrap();
    }
    let started = std::time::Instant::now();
    for text in [
        bomb.clone(),
        format!("{HEAD}spec: {{}}\nx: &x [*x]\n{bomb}"),
        "[".repeat(100_000),
        "a:\n ".repeat(10_000),
        format!("{HEAD}spec: {}", "{exceptions: [".repeat(1_000)),
        "a".repeat(MAX_POLICY_BYTES + 1),
        "---\n".repeat(100_000),
        "&a ".repeat(10_000),
        "? ".repeat(10_000),
        "- ".repeat(10_000),
    ] {
        let error = Policy::parse(&text, "p.yaml", now()).unwrap_err();
        assert!(error.to_string().len() < 1_000, "{error}");
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "(.|\n|: |- |spec|\\*|&|\\[|\\{){0,200}") {
        let _ = Policy::parse(&text, "p.yaml", now());
    }

    #[test]
    fn any_expression_is_answered(expression in "(findings|packages|gaps|\\.exists\\(f, |\\.map\\(|f\\.|\\)|\\[|\\]|\\{|\\}|==|&&|\\?|:|1|'a'|.){0,30}") {
        let spec = serde_json::json!({"rules": [{"name": "r", "expression": expression}]});
        let _ = Policy::parse(&format!("{HEAD}spec: {spec}"), "p.yaml", now());
    }

    #[test]
    fn any_spec_is_answered(spec in "(.|\n|: |- |vulnerabilities|failOn|high|images|exceptions|\\*|&|\\[|\\{|\\}){0,120}") {
        let _ = Policy::parse(&format!("{HEAD}spec: {{{spec}}}"), "p.yaml", now());
        let _ = Policy::parse(&format!("{HEAD}spec:\n  {spec}"), "p.yaml", now());
    }
}
