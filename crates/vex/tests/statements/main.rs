//! Documents of every format, against findings: what is ruled out, by whom, and what is not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod limits;
mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_model::Digest;
use portcullis_vex::{VexError, read};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{ALL, LODASH, applied, counts, document, not_affected, openvex, said};

#[test]
fn openvex_speaks_of_a_package() {
    let said = said(&openvex(json!([not_affected("pkg:npm/lodash")])));
    assert_eq!(
        said[1],
        "lodash: vex:https://vex.example/1: not affected: vulnerable_code_not_in_execute_path: we call none of it"
    );
    assert_eq!([&said[0], &said[2], &said[3]], [&counts(&ALL)[0], &counts(&ALL)[2], &counts(&ALL)[3]]);
}

#[test]
fn openvex_speaks_of_the_image_and_of_parts_of_it() {
    let image = format!("pkg:oci/app@{}", Digest::of(b"manifest"));
    assert!(said(&openvex(json!([not_affected(&image)]))).iter().all(|line| line.contains("vex:")));
    let mut of_part = not_affected("pkg:oci/app?repository_url=registry.example/team/app");
    of_part["products"][0]["subcomponents"] = json!([{"@id": "pkg:deb/debian/openssl?arch=source"}]);
    let lines = said(&openvex(json!([of_part])));
    assert!(lines[0].contains("vex:") && lines[1..].iter().all(|line| line.ends_with("counts")), "{lines:?}");
    // Of a package that is in the same file.
    let mut of_module = not_affected("pkg:golang/example.com/app");
    of_module["products"][0]["subcomponents"] = json!([{"@id": "pkg:golang/golang.org/x/net"}]);
    let lines = said(&openvex(json!([of_module])));
    assert!(lines[3].contains("vex:") && lines[..3].iter().all(|line| line.ends_with("counts")), "{lines:?}");
    let mut of_other = not_affected("pkg:golang/example.com/app");
    of_other["products"][0]["subcomponents"] = json!([{"@id": LODASH}]);
    assert_eq!(said(&openvex(json!([of_other]))), counts(&ALL));
    assert_eq!(said(&openvex(json!([not_affected("pkg:oci/other")]))), counts(&ALL));
}

#[test]
fn older_openvex_and_attested_ones_are_read() {
    let old = json!({
        "@context": "https://openvex.dev/ns",
        "@id": "old",
        "timestamp": "2023-01-01T00:00:00Z",
        "statements": [{"vulnerability": "CVE-2024-1000", "products": ["pkg:npm/lodash@4.17.20"], "status": "fixed"}],
    });
    assert_eq!(said(&old)[1], "lodash: vex:old: fixed");
    let statement = json!({"vulnerability": {"name": "GHSA-1"}, "status": "not_affected", "justification": "component_not_present"});
    let attested = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": Digest::of(b"manifest").hex()}}],
        "predicateType": "https://openvex.dev/ns/v0.2.0",
        "predicate": openvex(json!([statement])),
    });
    assert!(said(&attested).iter().all(|line| line.contains("component_not_present")));
    // The same in an envelope, and in a bundle; but not in two places at once.
    let envelope =
        json!({"payloadType": "application/vnd.in-toto+json", "payload": STANDARD.encode(attested.to_string())});
    let bundle = json!({"dsseEnvelope": envelope});
    for signed in [&envelope, &bundle] {
        assert!(said(signed).iter().all(|line| line.contains("component_not_present")), "{signed}");
    }
    let mut two = bundle;
    two["payload"] = STANDARD.encode("{}").into();
    for unclear in [two, json!({"payload": "%"})] {
        let error = read("a.json", unclear.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the envelope a.json holds nothing that can be read");
    }
}

#[test]
fn the_latest_statement_counts_and_of_equals_the_worst() {
    let at = |status: &str, time: &str| {
        json!({"vulnerability": {"name": "CVE-2024-1000"}, "timestamp": time, "products": [{"@id": LODASH}],
               "status": status, "justification": "component_not_present"})
    };
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00+01:00");
    for (statements, is_suppressed) in [
        (json!([at("affected", early), at("not_affected", late)]), true),
        (json!([at("not_affected", late), at("affected", early)]), true),
        (json!([at("not_affected", early), at("affected", late)]), false),
        (json!([at("not_affected", early), at("under_investigation", late)]), false),
        (json!([at("not_affected", late), at("affected", late)]), false),
        (json!([at("affected", early), at("fixed", late)]), true),
    ] {
        assert_eq!(said(&openvex(statements.clone()))[1].contains("vex:"), is_suppressed, "{statements}");
    }
    let one = document(&openvex(json!([at("not_affected", early)])));
    let other = document(&openvex(json!([at("affected", late)])));
    for documents in [[one.clone(), other.clone()], [other, one]] {
        assert_eq!(applied(&documents).0, counts(&ALL));
    }
}

#[test]
fn what_speaks_of_nothing_is_told() {
    let elsewhere = json!({"vulnerability": {"name": "CVE-2020-1"}, "products": [{"@id": LODASH}], "status": "fixed"});
    let nothing = json!({"vulnerability": {"name": "CVE-2020-1"}, "status": "fixed"});
    let odd = json!({"vulnerability": {"name": "CVE-2020-1"}, "products": [{"@id": LODASH}], "status": "fine"});
    let document = document(&openvex(json!([not_affected(LODASH), elsewhere, nothing, odd])));
    let (_, warnings) = applied(&[document]);
    let texts: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        texts,
        [
            "`fine` is no status of OpenVEX: the statement is left out",
            "a statement on CVE-2020-1 names no product: it is left out",
            "1 of its 2 statements speak of nothing that was found",
        ]
    );
    assert!(warnings.iter().all(|warning| warning.path == "vex:https://vex.example/1"));
}

#[test]
fn cyclonedx_speaks_of_components_and_of_other_documents() {
    let bom = |affects: &str, analysis: Value| {
        json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:1",
            "metadata": {"timestamp": "2026-01-01T00:00:00Z", "component": {
                "type": "container", "bom-ref": "image", "name": "app",
                "purl": format!("pkg:oci/app@{}", Digest::of(b"manifest")),
            }},
            "components": [{"bom-ref": "a", "name": "x", "components": [{"bom-ref": "b", "name": "lodash", "purl": LODASH}]}],
            "vulnerabilities": [{"id": "CVE-2024-1000", "analysis": analysis, "affects": [{"ref": affects}]}],
        })
    };
    let safe = json!({"state": "not_affected", "justification": "code_not_reachable", "detail": "no route"});
    assert_eq!(said(&bom("b", safe.clone()))[1], "lodash: vex:urn:uuid:1: not affected: code_not_reachable: no route");
    for reference in
        [LODASH, "urn:cdx:3e671687/1#pkg:npm/lodash@4.17.20", "urn:cdx:3e671687/1#pkg%3Anpm%2Flodash%404.17.20"]
    {
        assert!(said(&bom(reference, safe.clone()))[1].contains("vex:"), "{reference}");
    }
    assert!(said(&bom("image", safe.clone())).iter().all(|line| line.contains("vex:")));
    assert_eq!(said(&bom("a", safe)), counts(&ALL));
    assert_eq!(
        said(&bom("b", json!({"state": "false_positive"})))[1],
        "lodash: vex:urn:uuid:1: not affected: false_positive"
    );
    assert_eq!(said(&bom("b", json!({"state": "resolved"})))[1], "lodash: vex:urn:uuid:1: fixed");
    for state in ["exploitable", "in_triage"] {
        assert_eq!(said(&bom("b", json!({"state": state}))), counts(&ALL));
    }
    let inventory = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []});
    assert!(matches!(read("a", inventory.to_string().as_bytes()), Err(VexError::Empty { .. })));
}

fn csaf(platform: &str, status: &str) -> Value {
    json!({
        "document": {"category": "csaf_vex", "csaf_version": "2.0", "title": "t",
                     "tracking": {"id": "cve-2024-1000", "current_release_date": "2026-01-01T00:00:00Z"}},
        "product_tree": {
            "branches": [{"category": "vendor", "name": "Debian", "branches": [
                {"category": "product_name", "name": "Linux", "product": {
                    "product_id": "linux", "name": "Linux", "product_identification_helper": {"cpe": platform}}},
                {"category": "product_version", "name": "openssl", "product": {
                    "product_id": "openssl", "name": "openssl",
                    "product_identification_helper": {"purl": "pkg:deb/debian/openssl?arch=source"}}},
            ]}],
            "relationships": [{
                "category": "default_component_of", "product_reference": "openssl", "relates_to_product_reference": "linux",
                "full_product_name": {"product_id": "linux:openssl", "name": "openssl of Linux"},
            }],
        },
        "vulnerabilities": [{
            "cve": "CVE-2024-1000",
            "flags": [{"label": "vulnerable_code_not_present", "product_ids": ["linux:openssl"]}],
            "product_status": {status: ["linux:openssl", "unheard-of"]},
        }],
    })
}

#[test]
fn csaf_speaks_of_a_component_of_one_platform() {
    let here = "cpe:/o:debian:debian_linux:12";
    let lines = said(&csaf(here, "known_not_affected"));
    assert_eq!(lines[0], "libssl3: vex:cve-2024-1000: not affected: vulnerable_code_not_present");
    assert!(lines[1..].iter().all(|line| line.ends_with("counts")));
    // What holds for another release does not hold here.
    assert_eq!(said(&csaf("cpe:/o:debian:debian_linux:11", "known_not_affected")), counts(&ALL));
    assert_eq!(said(&csaf(here, "fixed"))[0], "libssl3: vex:cve-2024-1000: fixed");
    assert_eq!(said(&csaf(here, "known_affected")), counts(&ALL));
    let document = document(&csaf(here, "fixed"));
    assert_eq!(document.problems, ["a product is not told by a package URL or digest: what is said of it is left out"]);
}

#[test]
fn what_is_no_document_is_refused() {
    for (text, expected) in [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "no VEX document"),
        ("{\"bomFormat\": \"CycloneDX\", \"vulnerabilities\": {}}", "cannot be read"),
        ("{\"document\": 1}", "cannot be read"),
        ("{\"statements\": []}", "makes no statement"),
    ] {
        let error = read("a.json", text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert!(portcullis_errors::Hint::hint(&error).is_some());
    }
    let deep = format!("{{\"@context\": {}{}}}", "[".repeat(5000), "]".repeat(5000));
    assert!(read("a.json", deep.as_bytes()).is_err());
}

/// Any JSON, of words that the formats know.
fn any_json() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 30] = [
        "@context",
        "@id",
        "statements",
        "vulnerability",
        "products",
        "status",
        "not_affected",
        "subcomponents",
        "identifiers",
        "purl",
        "bomFormat",
        "vulnerabilities",
        "analysis",
        "state",
        "affects",
        "ref",
        "components",
        "bom-ref",
        "document",
        "product_tree",
        "branches",
        "product",
        "product_id",
        "relationships",
        "cve",
        "product_status",
        "known_not_affected",
        "predicate",
        "subject",
        "pkg:npm/lodash@4.17.20",
    ];
    let word = proptest::sample::select(&WORDS[..]);
    let leaf = prop_oneof![Just(Value::Null), any::<u8>().prop_map(Value::from), word.clone().prop_map(Value::from)];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((word.clone(), inner), 0..6).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_it_panic(json in any_json(), text in ".{0,60}") {
        if let Ok(document) = read("a.json", json.to_string().as_bytes()) {
            applied(&[document]);
        }
        _ = read("a.json", text.as_bytes());
    }

    #[test]
    fn a_cut_document_is_an_error(length in 0_usize..700) {
        let whole = csaf("cpe:/o:debian:debian_linux:12", "fixed").to_string();
        if length < whole.len() {
            prop_assert!(read("a.json", &whole.as_bytes()[..length]).is_err());
        }
    }
}
