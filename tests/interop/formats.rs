//! What we write, read by validators that others wrote: Microsoft's SARIF multitool with the rules of code scanning,
//! the schemas of SARIF and of our own report, the libraries of CycloneDX and SPDX.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::support::{cache, database, images, is_on, json, portcullis, run, skip};

/// A scan with findings, in every format that is checked here; made once.
fn scanned() -> Option<&'static Path> {
    static SCANNED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let scan = || {
        let image = images()?.join("images/oci/python-app");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("formats");
        // The validator writes beside the reports, and never over what an earlier run left.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir_all(&folder).unwrap();
        let mut scan = portcullis();
        scan.args(["scan", &format!("oci-dir:{}", image.display()), "--db"]).arg(database()?);
        for (format, file) in FILES {
            scan.arg("-o").arg(format!("{format}={}", folder.join(file).display()));
        }
        run(&mut scan, &[42]);
        Some(folder)
    };
    SCANNED.get_or_init(scan).as_deref()
}

/// Formats, and the files that they are written to.
const FILES: [(&str, &str); 6] = [
    ("sarif", "a.sarif"),
    ("json", "a.json"),
    ("cyclonedx-json", "a.cdx.json"),
    ("cyclonedx-xml", "a.cdx.xml"),
    ("spdx-json", "a.spdx.json"),
    ("spdx-tag-value", "a.spdx"),
];

/// A program of the tools' Python, given a file.
fn python(program: &str, file: &Path) {
    let interpreter = cache().join("venv/bin/python3");
    if !interpreter.is_file() {
        return skip("Python's validators are missing");
    }
    run(Command::new(interpreter).args(["-c", program]).arg(file), &[0]);
}

#[test]
fn sarif_is_what_code_scanning_takes() {
    let Some(folder) = is_on().then(scanned).flatten() else { return };
    let package = cache().join("npm/node_modules/@microsoft/sarif-multitool-linux");
    if !package.is_dir() {
        return skip("the SARIF multitool is missing");
    }
    let sarif = folder.join("a.sarif");
    let results = folder.join("validation.sarif");
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
    run(check.args(["--schemafile", schema]).arg(folder.join("a.json")), &[0]);
}

#[test]
fn cyclonedx_is_valid_in_strict_mode() {
    let Some(folder) = is_on().then(scanned).flatten() else { return };
    let program = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
        sys.exit(str(error) if error else 0)";
    python(program, &folder.join("a.cdx.json"));
}

#[test]
fn cyclonedx_as_xml_is_valid() {
    let Some(folder) = is_on().then(scanned).flatten() else { return };
    let program = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.xml import XmlValidator\n\
        error = XmlValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
        sys.exit(str(error) if error else 0)";
    python(program, &folder.join("a.cdx.xml"));
}

#[test]
fn spdx_is_valid_in_both_forms() {
    let Some(folder) = is_on().then(scanned).flatten() else { return };
    let program = "import sys\n\
        from spdx_tools.spdx.parser.parse_anything import parse_file\n\
        from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document\n\
        found = validate_full_spdx_document(parse_file(sys.argv[1]))\n\
        sys.exit('\\n'.join(f'{m.context}: {m.validation_message}' for m in found) if found else 0)";
    for file in ["a.spdx.json", "a.spdx"] {
        python(program, &folder.join(file));
    }
}
