//! What we write, read by validators that others wrote: Microsoft's SARIF multitool with the rules of code scanning,
//! the schemas of SARIF and of our own report, CycloneDX's library.

use std::process::Command;

use crate::support::{cache, database, images, is_on, json, portcullis, run, skip};

/// A scan with findings, in every format that is checked here.
fn scanned() -> Option<tempfile::TempDir> {
    let image = images()?.join("images/oci/python-app");
    let database = database()?;
    let folder = tempfile::tempdir().unwrap();
    let mut scan = portcullis();
    scan.args(["scan", &format!("oci-dir:{}", image.display()), "--db"]).arg(&database);
    for (format, file) in [("sarif", "a.sarif"), ("json", "a.json"), ("cyclonedx-json", "a.cdx.json")] {
        scan.arg("-o").arg(format!("{format}={}", folder.path().join(file).display()));
    }
    run(&mut scan, &[42]);
    Some(folder)
}

#[test]
fn sarif_is_what_code_scanning_takes() {
    let Some(folder) = is_on().then(scanned).flatten() else { return };
    let package = cache().join("npm/node_modules/@microsoft/sarif-multitool-linux");
    if !package.is_dir() {
        return skip("the SARIF multitool is missing");
    }
    let sarif = folder.path().join("a.sarif");
    let results = folder.path().join("validation.sarif");
    let mut validate = Command::new(package.join("Sarif.Multitool"));
    validate.arg("validate").arg(&sarif).args(["--rule-kind", "Sarif;Ghas", "-o"]).arg(&results);
    validate.env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1");
    run(&mut validate, &[0]);
    // It ends with 0 whatever it finds: what it wrote down counts.
    let found = json(&std::fs::read(&results).unwrap());
    let found = found["runs"][0]["results"].as_array().cloned().unwrap_or_default();
    assert!(found.is_empty(), "{found:#?}");
    let mut schema = Command::new(cache().join("venv/bin/check-jsonschema"));
    run(schema.arg("--schemafile").arg(package.join("sarif-2.1.0.json")).arg(&sarif), &[0]);
}

#[test]
fn reports_follow_their_committed_schema() {
    let Some(folder) = is_on().then(scanned).flatten() else { return };
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/report-v1.json");
    let mut check = Command::new(cache().join("venv/bin/check-jsonschema"));
    run(check.args(["--schemafile", schema]).arg(folder.path().join("a.json")), &[0]);
}

#[test]
fn cyclonedx_is_valid_in_strict_mode() {
    let Some(folder) = is_on().then(scanned).flatten() else { return };
    let program = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
        sys.exit(str(error) if error else 0)";
    let mut python = Command::new(cache().join("venv/bin/python3"));
    run(python.args(["-c", program]).arg(folder.path().join("a.cdx.json")), &[0]);
}
