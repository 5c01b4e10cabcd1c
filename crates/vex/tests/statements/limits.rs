//! What a statement does not speak of, although it comes near.

use portcullis_model::{Digest, Location, Target};
use serde_json::{Value, json};

use crate::support::{
    ALL, BINARY, LODASH, MODULE, applied_in, applied_to, counts, document, not_affected, openvex, package, packages,
    said,
};

/// Whether the module of `app` is ruled out by a statement of this status on `app`.
fn is_ruled_out(packages: &[portcullis_model::Package], statements: Value) -> bool {
    let (lines, _) = applied_to(packages, &[document(&openvex(statements))]);
    lines.iter().any(|line| line.starts_with("golang.org/x/net: vex:"))
}

fn of_module(product: &str, status: &str, day: u8) -> Value {
    json!({"vulnerability": {"name": "CVE-2024-1000"}, "timestamp": format!("2026-01-{day:02}T00:00:00Z"),
           "products": [{"@id": product, "subcomponents": [{"@id": MODULE}]}], "status": status,
           "justification": "vulnerable_code_not_in_execute_path"})
}

#[test]
fn a_copy_elsewhere_is_not_ruled_out() {
    const OTHER: &str = "pkg:golang/example.com/other@v1.0.0";
    let mut packages = packages();
    let of_app = of_module(BINARY, "not_affected", 1);
    assert!(is_ruled_out(&packages, json!([of_app])));
    // The same module is in another binary, of which nothing is said.
    packages[3].locations.push(Location { path: "usr/bin/other".into(), layer: None });
    packages.push(package(OTHER, "usr/bin/other"));
    assert!(!is_ruled_out(&packages, json!([of_app])));
    let mut of_both = of_app.clone();
    of_both["products"].as_array_mut().unwrap().push(of_module(OTHER, "", 1)["products"][0].clone());
    assert!(is_ruled_out(&packages, json!([of_both])));
    // To be affected, one copy is enough.
    assert!(!is_ruled_out(&packages, json!([of_both, of_module(OTHER, "affected", 2)])));
}

#[test]
fn a_package_that_others_need_too_is_not_ruled_out() {
    let mut packages = packages();
    packages[3].locations = vec![Location { path: "go.sum".into(), layer: None }];
    packages[2].depends_on = vec![MODULE.to_owned()];
    let of_app = of_module(BINARY, "not_affected", 1);
    assert!(is_ruled_out(&packages, json!([of_app])));
    packages[0].depends_on = vec![MODULE.to_owned()];
    assert!(!is_ruled_out(&packages, json!([of_app])));
}

#[test]
fn a_digest_stands_above_the_name_beside_it() {
    let statement = json!({"vulnerability": {"name": "CVE-2024-1000"}, "status": "not_affected",
                           "impact_statement": "we call none of it"});
    let attested = |digest: &Digest| {
        json!({
            "subject": [{"name": "registry.example/team/app", "digest": {"sha256": digest.hex()}}],
            "predicate": openvex(json!([statement])),
        })
    };
    assert!(said(&attested(&Digest::of(b"manifest"))).iter().all(|line| line.contains("vex:")));
    assert_eq!(said(&attested(&Digest::of(b"another build"))), counts(&ALL));
    let mut hashed = not_affected("pkg:oci/app");
    hashed["products"][0]["hashes"] = json!({"sha-256": Digest::of(b"another build").hex()});
    assert_eq!(said(&openvex(json!([hashed]))), counts(&ALL));
}

fn cyclonedx(reference: &str, affects: &Value) -> Value {
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:1",
        "components": [{"bom-ref": reference, "name": "x", "purl": "pkg:npm/lodash"},
                       {"bom-ref": "registry.example/team/app", "name": "a library of that name"}],
        "vulnerabilities": [{"id": "CVE-2024-1000", "analysis": {"state": "not_affected"}, "affects": [affects]}],
    })
}

#[test]
fn references_of_cyclonedx_are_labels_of_one_document() {
    let rules_out = |reference: &str| said(&cyclonedx("7", &json!({"ref": reference})));
    assert!(rules_out("7")[1].contains("vex:"));
    assert!(rules_out("urn:cdx:1/1#7")[1].contains("vex:"));
    for other in ["urn:cdx:2/1#7", "8", "registry.example/team/app", "registry.example/team/app:v1"] {
        assert_eq!(rules_out(other), counts(&ALL), "{other}");
    }
}

#[test]
fn versions_of_cyclonedx_limit_what_is_said() {
    let rules_out = |versions: Value| said(&cyclonedx("7", &json!({"ref": LODASH, "versions": versions})));
    assert!(rules_out(json!([]))[1].contains("vex:"));
    assert!(rules_out(json!([{"version": "4.17.20", "status": "unaffected"}]))[1].contains("vex:"));
    for versions in [
        json!([{"version": "4.17.20", "status": "affected"}]),
        json!([{"version": "4.17.20"}]),
        json!([{"version": "4.17.21", "status": "unaffected"}]),
        json!([{"range": "vers:npm/>=4.17.20", "status": "unaffected"}]),
    ] {
        assert_eq!(rules_out(versions.clone()), counts(&ALL), "{versions}");
    }
}

/// What becomes of the finding in lodash, and what is noted.
fn of_lodash(json: &Value) -> (bool, Vec<String>) {
    let (lines, warnings) = applied_to(&packages(), &[document(json)]);
    let is_ruled_out = lines.iter().any(|line| line.starts_with("lodash: vex:"));
    (is_ruled_out, warnings.into_iter().map(|warning| warning.message).collect())
}

#[test]
fn what_is_said_later_than_the_scan_rules_nothing_out() {
    let at = |status: &str, time: &str| {
        json!({"vulnerability": {"name": "CVE-2024-1000"}, "timestamp": time, "products": [{"@id": LODASH}],
               "status": status, "justification": "component_not_present"})
    };
    let (before, now, late) = ("2026-05-31T00:00:00Z", "2026-06-01T00:05:00Z", "2026-06-01T00:05:01Z");
    let note = |count: &str| {
        format!(
            "{count} statements are later than 2026-06-01T00:00:00Z, up to 2099-01-01T00:00:00Z: they rule nothing out"
        )
    };
    let far = "2099-01-01T00:00:00Z";
    let said = |statements: Value| of_lodash(&openvex(statements));
    assert_eq!(said(json!([at("affected", before), at("not_affected", far)])), (false, vec![note("1 of its 2")]));
    assert_eq!(said(json!([at("not_affected", far), at("fixed", late)])), (false, vec![note("2 of its 2")]));
    // What was said before still holds.
    assert_eq!(said(json!([at("not_affected", before), at("fixed", far)])), (true, vec![note("1 of its 2")]));
    // That something is affected may be known from a clock that is wrong.
    assert_eq!(said(json!([at("not_affected", before), at("affected", far)])), (false, vec![note("1 of its 2")]));
    // Clocks differ.
    assert_eq!(said(json!([at("affected", before), at("not_affected", now)])), (true, vec![]));
    // So do the other formats.
    let mut cyclonedx = cyclonedx("7", &json!({"ref": "7"}));
    let (is_ruled_out, _) = of_lodash(&cyclonedx);
    assert!(is_ruled_out);
    cyclonedx["metadata"] = json!({"timestamp": far});
    assert_eq!(of_lodash(&cyclonedx), (false, vec![note("1 of its 1")]));
    assert_eq!(of_lodash(&csaf("final", far)), (false, vec![note("1 of its 1")]));
}

#[test]
fn openvex_that_does_not_say_why_is_left_out() {
    let with = |field: &str, text: &str| {
        of_lodash(&openvex(json!([{"vulnerability": {"name": "CVE-2024-1000"}, "products": [{"@id": LODASH}],
                                   "status": "not_affected", field: text}])))
    };
    for field in ["justification", "impact_statement"] {
        assert_eq!(with(field, "it is not called"), (true, vec![]), "{field}");
    }
    let left_out = "`not_affected` on CVE-2024-1000 without `justification` or `impact_statement`: it is left out";
    for (field, text) in [("justification", " "), ("status_notes", "it is not called")] {
        assert_eq!(with(field, text), (false, vec![left_out.to_owned()]), "{field}");
    }
}

fn csaf(status: &str, released: &str) -> Value {
    json!({
        "document": {"category": "csaf_vex", "tracking": {
            "id": "1", "status": status, "current_release_date": released}},
        "product_tree": {"full_product_names": [
            {"name": "lodash", "product_id": "a", "product_identification_helper": {"purl": LODASH}}]},
        "vulnerabilities": [{"cve": "CVE-2024-1000", "product_status": {"known_not_affected": ["a"]}}],
    })
}

#[test]
fn a_draft_of_csaf_rules_nothing_out() {
    let day = "2026-01-01T00:00:00Z";
    for status in ["final", "interim"] {
        assert_eq!(of_lodash(&csaf(status, day)), (true, vec![]), "{status}");
    }
    assert_eq!(of_lodash(&csaf("draft", day)), (false, vec!["it is a draft: it rules nothing out".to_owned()]));
}

#[test]
fn problems_beyond_the_first_are_counted() {
    let of_nothing = |id: u8| json!({"vulnerability": format!("CVE-1-{id}"), "status": "fixed"});
    let (_, notes) = of_lodash(&openvex((0..25).map(of_nothing).collect()));
    assert_eq!((notes.len(), notes[20].as_str()), (21, "5 more of its problems are not listed"));
}

#[test]
fn what_is_said_of_an_image_holds_for_its_bill() {
    let digest = Digest::of(b"the image");
    let bill_of = |purl: &str| {
        let mut target = Target { digest: Some(Digest::of(b"the bill")), ..Target::named("bom.json") };
        target.labels.insert(portcullis_vex::IMAGE_LABEL.to_owned(), purl.to_owned());
        target
    };
    let is_ruled_out = |target: &Target, product: &str| {
        let (lines, _) = applied_in(target, &packages(), &[document(&openvex(json!([not_affected(product)])))]);
        lines.iter().all(|line| line.contains("vex:"))
    };
    let purl = format!("pkg:oci/app@{digest}?repository_url=registry.example/team/app&tag=v1&arch=amd64");
    for product in [
        &*purl,
        &format!("pkg:oci/app@{digest}"),
        "pkg:oci/app?repository_url=registry.example/team&tag=v1",
        "pkg:oci/app",
        "registry.example/team/app:v1",
    ] {
        assert!(is_ruled_out(&bill_of(&purl), product), "{product}");
    }
    for product in [
        &*format!("pkg:oci/app@{}", Digest::of(b"another")),
        "pkg:oci/app?tag=v2",
        "pkg:oci/app?arch=arm64",
        "pkg:oci/other",
        "bom.json",
    ] {
        assert!(!is_ruled_out(&bill_of(&purl), product), "{product}");
    }
    assert!(is_ruled_out(&bill_of("pkg:docker/library/nginx@1.27"), "pkg:docker/library/nginx@1.27"));
    // Whoever builds an image writes its labels: they do not make another one of it.
    let image = Target { config_digest: Some(Digest::of(b"config")), ..bill_of(&purl) };
    assert!(!is_ruled_out(&image, &purl));
}
