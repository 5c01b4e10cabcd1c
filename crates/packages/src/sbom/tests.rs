//! Real documents of several tools, and small ones made for the purpose.

use std::collections::BTreeSet;

use base64::Engine as _;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::testing;

/// Every real document, with its name.
fn files() -> Vec<(String, Vec<u8>)> {
    let Some(index) = testing::data("sboms/INDEX.tsv") else { return Vec::new() };
    let index = String::from_utf8(index).unwrap();
    let names = index.lines().skip(1).map(|line| line.split('\t').next().unwrap().to_owned());
    names.filter_map(|name| Some((name.clone(), testing::data(&format!("sboms/{name}"))?))).collect()
}

/// Counts packages without the reader: what a query over the document would give.
fn count(name: &str, bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let purls = |found: Vec<&str>| {
        let found = found
            .into_iter()
            .filter(|purl| !purl.starts_with("pkg:oci/") && !purl.contains("arch=src&") && !purl.ends_with("arch=src"));
        found.collect::<BTreeSet<_>>().len()
    };
    match name {
        // Each component has a name and a version, if not a package URL.
        "bad-purls.cdx.xml" => text.matches("<component ").count() - 2,
        // All but the module that is described.
        "cosign-gomod.spdx" => text.matches("\nPackageName: ").count() - 1,
        _ if name.ends_with(".xml") => {
            let plain = text.split("<component ").filter(|component| {
                let named = component.contains("type=\"application\"") && component.contains("<version>");
                named && !component.contains("<purl>")
            });
            let plain = plain.count();
            purls(text.split("<purl>").skip(1).map(|rest| rest.split("</purl>").next().unwrap()).collect()) + plain
        }
        _ if name.ends_with(".spdx") => {
            let lines = text.lines().filter_map(|line| line.strip_prefix("ExternalRef: "));
            purls(lines.filter_map(|line| line.split_once(" purl ").map(|(_, purl)| purl)).collect())
        }
        _ => count_json(&serde_json::from_slice(bytes).unwrap()),
    }
}

fn count_json(document: &Value) -> usize {
    if let Some(payload) = document.get("payload") {
        let payload = base64::engine::general_purpose::STANDARD.decode(payload.as_str().unwrap()).unwrap();
        return count_json(&serde_json::from_slice::<Value>(&payload).unwrap()["predicate"]);
    }
    if let Some(artifacts) = document["artifacts"].as_array() {
        return artifacts.len();
    }
    let mut found = BTreeSet::new();
    let mut open = vec![&document["metadata"]["component"]];
    open.extend(document["components"].as_array().into_iter().flatten());
    while let Some(component) = open.pop() {
        open.extend(component["components"].as_array().into_iter().flatten());
        if let Some(purl) = component["purl"].as_str() {
            found.insert(purl.to_owned());
        } else if component["type"] == "application" && component["version"].is_string() {
            found.insert(component["name"].to_string());
        }
    }
    for package in document["packages"].as_array().into_iter().flatten() {
        let references = package["externalRefs"].as_array().into_iter().flatten();
        let mut purls = references.filter(|reference| reference["referenceType"] == "purl");
        match purls.next() {
            Some(purl) => _ = found.insert(purl["referenceLocator"].as_str().unwrap().to_owned()),
            None if package["packageFileName"].is_string() && package["primaryPackagePurpose"] != "SOURCE" => {
                _ = found.insert(package["name"].to_string())
            }
            // A binary inside of another package, which Syft says is BusyBox.
            None if package["name"] == "busybox" => _ = found.insert("busybox".to_owned()),
            None => {}
        }
    }
    found.retain(|purl| !purl.starts_with("pkg:oci/") && !purl.contains("arch=src&") && !purl.ends_with("arch=src"));
    found.len()
}

#[test]
fn every_real_document_is_read_whole() {
    for (name, bytes) in files() {
        let sbom = read_sbom(&name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(sbom.reading.packages.len(), count(&name, &bytes), "{name}");
        let odd = sbom.reading.packages.iter().find(|package| package.name.is_empty() || package.purl.is_empty());
        assert_eq!(odd, None, "{name}");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &bytes).unwrap();
        assert_eq!(read_sbom(&name, &gzip.finish().unwrap()).unwrap(), sbom, "{name}, compressed");
    }
}

#[test]
fn every_prefix_of_a_real_document_is_an_answer() {
    for (name, bytes) in files().into_iter().filter(|(_, bytes)| bytes.len() < 20_000) {
        for end in (0..bytes.len()).step_by(97) {
            let answer = read_sbom(&name, &bytes[..end]);
            let is_tags = name.ends_with(".spdx");
            assert!(answer.is_err() || is_tags || name.ends_with("jsonl"), "{name} cut at {end}");
        }
    }
}

#[track_caller]
fn check(document: &str, expected: Expect) {
    let text = match read_sbom("sbom", document.as_bytes()) {
        Ok(sbom) => {
            let needs = sbom.reading.packages.iter().filter(|package| !package.depends_on.is_empty());
            let needs: String =
                needs.map(|package| format!("{} needs {}\n", package.name, package.depends_on.join(", "))).collect();
            format!("{} of {}\n{}{needs}", sbom.format, sbom.subject, testing::render(&sbom.reading))
        }
        Err(error) => format!("{error}\n"),
    };
    expected.assert_eq(&text);
}

#[test]
fn components_inside_components_and_loops_of_dependencies() {
    check(
        r#"{"bomFormat": "CycloneDX", "specVersion": "1.7",
        "dependencies": [{"ref": "a", "dependsOn": ["b", "nobody"]}, {"ref": "b", "dependsOn": ["a", "b"]}],
        "metadata": {"component": {"type": "container", "name": "app", "version": "1"},
            "tools": {"components": [{"type": "library", "name": "tool", "version": "1"}]}},
        "components": [
            {"type": "library", "bom-ref": "a", "name": "a", "version": "1", "purl": "pkg:npm/%40s/a@1", "components": [
                {"type": "library", "bom-ref": "b", "name": "b", "version": 2, "purl": "pkg:npm/b@2"},
                {"type": "library", "name": "b", "version": "2", "purl": "pkg:npm/b@2", "licenses": [{"expression": "MIT OR ISC"}]}
            ]},
            {"type": "library", "name": "test", "purl": "pkg:npm/test@1", "scope": "excluded"},
            {"type": "library", "name": "plain", "version": "1"},
            {"type": "library", "version": "1"},
            {"type": "file", "name": "/bin/sh"},
            {"type": "operating-system", "name": "redhat", "version": "8.9"},
            {"type": "library", "group": "g", "name": "bind", "purl": "pkg:rpm/redhat/bind@9.11-1.el8?epoch=32&upstream=bind-src-9.11-1.el8.src.rpm&arch=x86_64"},
            "odd", 7, null, {"name": {"odd": true}, "purl": []}
        ]}"#,
        expect![[r#"
            CycloneDX 1.7 of app 1
            Distribution { id: "rhel", version_id: "8.9", name: "rhel 8.9", codename: None, id_like: [], parent_codename: None, cpe: None }
            rpm bind 32:9.11-1.el8 from bind-src 32:9.11-1.el8, for x86_64, purl pkg:rpm/redhat/bind@9.11-1.el8?epoch=32&upstream=bind-src-9.11-1.el8.src.rpm&arch=x86_64
            generic plain 1, purl pkg:generic/plain@1
            npm @s/a 1, purl pkg:npm/%40s/a@1, needs pkg:npm/b@2
            npm b 2, under MIT OR ISC, purl pkg:npm/b@2, needs pkg:npm/%40s/a@1
            gap in sbom: `plain` has no package URL: no advisory can be found for it
            gap in sbom: a component has no name: ``
            note in sbom: `test` is not installed, as the document says
            @s/a needs pkg:npm/b@2
            b needs pkg:npm/%40s/a@1
        "#]],
    );
}

#[test]
fn documents_in_other_documents() {
    check(
        r#"{"_type": "https://in-toto.io/Statement/v1", "predicate": {"Data": {"spdxVersion": "SPDX-2.3", "name": "x",
        "packages": [{"SPDXID": "SPDXRef-1", "name": "glibc", "versionInfo": "2", "primaryPackagePurpose": "SOURCE"},
            {"SPDXID": "SPDXRef-2", "name": "libc6", "versionInfo": "2-1", "packageFileName": "var/lib/dpkg/status"},
            {"SPDXID": "SPDXRef-3", "name": "x"}],
        "documentDescribes": ["SPDXRef-3"],
        "relationships": [{"spdxElementId": "SPDXRef-2", "relationshipType": "GENERATED_FROM", "relatedSpdxElement": "SPDXRef-1"}]}}}"#,
        expect![[r#"
            SPDX 2.3 of x
            deb libc6 2-1 from glibc 2, purl pkg:deb/libc6@2-1?upstream=glibc%402
        "#]],
    );
    check(
        r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
            {"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1"},
            {"type": "software_Package", "spdxId": "urn:a", "name": "requests", "software_packageVersion": "2.0", "software_packageUrl": "pkg:pypi/requests@2.0"},
            {"type": "software_Package", "spdxId": "urn:b", "name": "urllib3", "externalIdentifier": [{"externalIdentifierType": "packageUrl", "identifier": "pkg:pypi/urllib3@1.26"}]},
            {"type": "Relationship", "from": "urn:a", "relationshipType": "dependsOn", "to": ["urn:b"]}]}"#,
        expect![[r#"
            SPDX 3.0.1 of 
            pypi requests 2.0, purl pkg:pypi/requests@2.0, needs pkg:pypi/urllib3@1.26
            pypi urllib3 1.26, purl pkg:pypi/urllib3@1.26
            requests needs pkg:pypi/urllib3@1.26
        "#]],
    );
}

#[test]
fn xml_of_any_prefix_without_entities_of_its_own() {
    check(
        r#"<?xml version="1.0"?><!DOCTYPE bom [<!ENTITY a "aaaa">]>
<b:bom xmlns:b="http://cyclonedx.org/schema/bom/1.4"><b:components>
  <b:component type="library" bom-ref="x&amp;y"><b:name>a&a;&lt;&#x41;</b:name><b:version><![CDATA[1]]></b:version>
    <b:pedigree><b:ancestors><b:component type="library"><b:name>old</b:name><b:version>0</b:version></b:component></b:ancestors></b:pedigree>
    <b:licenses><b:license><b:id>MIT</b:id></b:license></b:licenses>
    <b:purl>pkg:gem/a@1</b:purl></b:component></b:components></b:bom>"#,
        expect![[r#"
            CycloneDX 1.4 of 
            gem a 1, under MIT, purl pkg:gem/a@1
        "#]],
    );
    check(
        "<bom xmlns=\"http://cyclonedx.org/schema/bom/1.4\"><components>",
        expect![[r#"
        it is no XML that can be read, at byte 61: it ends inside an element
    "#]],
    );
}

#[test]
fn texts_over_several_lines() {
    check(
        "SPDXVersion: SPDX-2.3\nPackageName: a\nSPDXID: SPDXRef-a\nPackageDescription: <text>one\nPackageVersion: 9\n</text>\n\
         PackageVersion: 1\nPackageLicenseDeclared: LicenseRef-1\nExternalRef: PACKAGE-MANAGER purl pkg:cargo/a@1\n\
         LicenseID: LicenseRef-1\nExtractedText: <text>x</text>\nLicenseName: Own\nRelationship SPDXRef-a DEPENDS_ON SPDXRef-a\n",
        expect![[r#"
            SPDX 2.3 of 
            cargo a 1, under Own, purl pkg:cargo/a@1
        "#]],
    );
}

#[test]
fn every_envelope_of_a_list_is_opened() {
    let envelope = |package: &str| {
        let document = format!(
            r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{{"type": "library", "name": "{package}",
            "version": "1", "purl": "pkg:cargo/{package}@1"}}]}}"#
        );
        format!(r#"{{"payload": "{}"}}"#, base64::engine::general_purpose::STANDARD.encode(document))
    };
    check(
        &format!("[{}, {{\"dsseEnvelope\": {}}}]", envelope("a"), envelope("b")),
        expect![[r#"
            CycloneDX 1.6 of 
            cargo a 1, purl pkg:cargo/a@1
            cargo b 1, purl pkg:cargo/b@1
        "#]],
    );
}

#[test]
fn what_is_lost_is_a_gap() {
    // The text goes on to the end.
    check(
        "SPDXVersion: SPDX-2.3\nPackageName: a\nPackageVersion: 1\nExternalRef: PACKAGE-MANAGER purl pkg:cargo/a@1\n\
         PackageComment: <text>one\nPackageName: b\nPackageVersion: 1\n",
        expect![[r#"
            SPDX 2.3 of 
            cargo a 1, purl pkg:cargo/a@1
            gap in sbom: the text of `PackageComment` does not end: packages that follow it are not seen
        "#]],
    );
    // Software that was released, whatever its purpose and its name; a lockfile that holds others is none.
    check(
        r#"{"spdxVersion": "SPDX-2.3", "packages": [
            {"SPDXID": "SPDXRef-ImageMagick", "name": "ImageMagick", "versionInfo": "7.1"},
            {"SPDXID": "SPDXRef-2", "name": "curl", "versionInfo": "8.0", "primaryPackagePurpose": "INSTALL"},
            {"SPDXID": "SPDXRef-3", "name": "Cargo.lock", "primaryPackagePurpose": "FILE"},
            {"SPDXID": "SPDXRef-Application-4", "name": "cargo"}]}"#,
        expect![[r#"
            SPDX 2.3 of 
            generic ImageMagick 7.1, purl pkg:generic/ImageMagick@7.1
            generic curl 8.0, purl pkg:generic/curl@8.0
            gap in sbom: `ImageMagick` has no package URL: no advisory can be found for it
            gap in sbom: `curl` has no package URL: no advisory can be found for it
        "#]],
    );
    check(
        r#"{"@graph": [{"type": "CreationInfo", "specVersion": "3.0.1"},
            {"type": "software_Package", "spdxId": "urn:a", "name": "curl", "software_packageVersion": "8.0", "software_primaryPurpose": "archive"}]}"#,
        expect![[r#"
            SPDX 3.0.1 of 
            generic curl 8.0, purl pkg:generic/curl@8.0
            gap in sbom: `curl` has no package URL: no advisory can be found for it
        "#]],
    );
    // An object in the place of a list.
    check(
        r#"{"bomFormat": "CycloneDX", "components": {"type": "library", "name": "a", "version": "1", "purl": "pkg:cargo/a@1"}}"#,
        expect![[r#"
            CycloneDX of 
            cargo a 1, purl pkg:cargo/a@1
        "#]],
    );
}

#[test]
fn a_package_that_only_one_of_two_owns_is_its_own() {
    let component = |reference: &str, owner: &str| {
        format!(
            r#"{{"bom-ref": "{reference}", "type": "library", "name": "six", "version": "1", "purl": "pkg:pypi/six@1",
            "properties": [{{"name": "portcullis:path", "value": "{reference}"}}{owner}]}}"#
        )
    };
    let owner = r#", {"name": "portcullis:ownedBy", "value": "pkg:deb/debian/python3-six@1"}"#;
    for second in [owner, ""] {
        let (first, second) = (component("usr/lib", owner), component("srv/venv", second));
        let document = format!(r#"{{"bomFormat": "CycloneDX", "components": [{first}, {second}]}}"#);
        let packages = read_sbom("sbom", document.as_bytes()).unwrap().reading.packages;
        assert_eq!(packages.len(), 1);
        assert_eq!(packages[0].owned_by.is_some(), document.matches("ownedBy").count() == 2, "{document}");
    }
}

#[test]
fn what_is_none_is_said() {
    check(
        "",
        expect![[r#"
        it is empty
    "#]],
    );
    check(
        "{\"openapi\": \"3.1.0\", \"components\": {\"schemas\": {}}}",
        expect![[r#"
        it is no bill of materials that is known here: neither CycloneDX, nor SPDX, nor Syft's JSON
    "#]],
    );
    check(
        "{\"bomFormat\": \"CycloneDX\"",
        expect![[r#"
        it is no JSON that can be read
    "#]],
    );
    check(
        "<html><p>no</p></html>",
        expect![[r#"
        it is no bill of materials that is known here: neither CycloneDX, nor SPDX, nor Syft's JSON
    "#]],
    );
    check(
        "hello",
        expect![[r#"
        it is no bill of materials that is known here: neither CycloneDX, nor SPDX, nor Syft's JSON
    "#]],
    );
}

#[test]
fn oddities_are_bounded() {
    let many: Vec<String> =
        (0..10_000).map(|n| format!(r#"{{"type": "library", "name": "n{n}", "version": "1"}}"#)).collect();
    let document = format!(r#"{{"bomFormat": "CycloneDX", "components": [{}]}}"#, many.join(","));
    let sbom = read_sbom("many", document.as_bytes()).unwrap();
    assert_eq!((sbom.reading.packages.len(), sbom.reading.warnings.len()), (10_000, 21));
    let deep = format!(
        r#"{{"bomFormat": "CycloneDX", "components": {}{}}}"#,
        r#"[{"components": "#.repeat(5000),
        "[]".to_owned() + &"}]".repeat(5000)
    );
    assert!(matches!(read_sbom("deep", deep.as_bytes()), Err(SbomError::Json(_))));
    let envelope = (0..50).fold("{}".to_owned(), |inner, _| {
        let payload = base64::engine::general_purpose::STANDARD.encode(inner);
        if payload.len() > 1 << 20 { payload } else { format!(r#"{{"payload": "{payload}"}}"#) }
    });
    assert!(read_sbom("envelopes", envelope.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, kind in 0_usize..5) {
        let start = ["{\"components\":[{\"purl\":\"", "<bom><components><component>", "SPDXVersion: SPDX-2.3\n", "", "{\"payload\":\""];
        let mut text = start[kind].as_bytes().to_vec();
        text.extend(bytes);
        _ = read_sbom("p", &text);
    }

    #[test]
    fn a_changed_document_does_not_make_it_panic(at in 0_usize..6000, byte: u8, index in 0_usize..41) {
        let Some((name, mut bytes)) = files().into_iter().nth(index).filter(|(_, bytes)| bytes.len() < 40_000) else {
            return Ok(());
        };
        let length = bytes.len();
        bytes[at % length] = byte;
        _ = read_sbom(&name, &bytes);
    }
}
