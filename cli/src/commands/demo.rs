//! `portcullis demo`: the whole chain on this machine, with no network and no service.
//!
//! Built → scanned → attested → pushed → verified → admitted, for an image that is well; and refused, for one that is
//! not, for one whose evidence is forged, and for the first one when an advisory arrives. Everything that a step makes is
//! left in a folder to look at.

mod images;
mod tamper;

use std::{
    fs,
    path::{Path, PathBuf},
};

use portcullis_advisories::{Builder, add_directory};
use portcullis_embedded_registry::{EmbeddedRegistry, Options};
use portcullis_errors::{Secret, count_of};
use portcullis_image::Source;
use portcullis_model::Report;
use portcullis_policy::{ExitStatus, Policy};
use portcullis_report::{RenderOptions, format_named};

use super::{admit, attest, key, scan, verify};
use crate::{
    args::{AttestedVexArgs, CacheArgs, CachePlaceArgs, DemoArgs, Global, JudgeArgs, SourceArgs, When},
    diagnostics::{Context as _, Failure, Outcome},
    output, settings,
    settings::Access,
};

/// What is told, as a file; where it lies, an earlier demo ran.
const LOG: &str = "demo.log";
/// Formats that the demo leaves of each image.
const FORMATS: [(&str, &str); 5] = [
    ("json", "report.json"),
    ("sarif", "report.sarif"),
    ("cyclonedx-json", "sbom.cdx.json"),
    ("html", "report.html"),
    ("table", "report.txt"),
];

pub(crate) fn run(args: &DemoArgs, _: &Global) -> Outcome {
    let DemoArgs { output: folder } = args;
    let mut demo = Demo::begin(folder)?;
    demo.step(&format!("Embedded registry on {}, this machine only", demo.registry.address()))?;
    let made = images::make();
    demo.step(&format!("Two images are built and pushed: one from {}, one with old libraries on top", made.origin))?;
    for image in &made.images {
        demo.push(image)?;
    }
    demo.step("Both are scanned, judged (deny from severity high on), and what follows is signed beside them")?;
    let healthy = demo.scan("healthy")?;
    let vulnerable = demo.scan("vulnerable")?;
    demo.step("Anyone with the public key checks the evidence: `portcullis verify`")?;
    for name in ["healthy", "vulnerable", "unsigned"] {
        demo.verify(name)?;
    }
    demo.step("The admission gate decides on Pods, as the webhook does in a cluster: `portcullis admit`")?;
    let admitted = demo.admit("healthy")?;
    let refused = demo.admit("vulnerable")?;
    let unsigned = demo.admit("unsigned")?;
    demo.step("An attacker signs a pass with another key, and moves and edits genuine evidence: it proves nothing")?;
    tamper::tamper(&demo)?;
    demo.verify("unsigned")?;
    let tampered = demo.admit("unsigned")?;
    demo.step(
        "An advisory arrives: the healthy image, byte for byte the same, is scanned again with newer advisories",
    )?;
    let later = demo.scan_later("healthy", &healthy)?;
    demo.verify("healthy")?;
    let outdated = demo.admit("healthy")?;
    let is_told = later.verdict.result != healthy.verdict.result;
    demo.finish(&healthy, &vulnerable, &[admitted, !refused, !unsigned, !tampered, !outdated, is_told])
}

struct Demo {
    folder: PathBuf,
    registry: portcullis_embedded_registry::Handle,
    policy: PathBuf,
    key: portcullis_attest::SigningKey,
    log: String,
    step: u32,
}

impl Demo {
    fn begin(folder: &Path) -> Result<Self, Failure> {
        take(folder)?;
        let registry = EmbeddedRegistry::start(Options::default()).context(|| "cannot start a registry".to_owned())?;
        for half in ["key", "pub"] {
            // The keys of an earlier demo are worth nothing.
            let path = folder.join("cosign").with_extension(half);
            if path.exists() {
                fs::remove_file(&path).context(|| format!("cannot replace {}", path.display()))?;
            }
        }
        let key = key::generate(&folder.join("cosign"), &Secret::new("demo".to_owned()))?;
        let policy = folder.join("policy.yaml");
        write(&policy, &policy_text(&key.verifying_key().to_pem()))?;
        Ok(Self { folder: folder.to_owned(), registry, policy, key, log: String::new(), step: 0 })
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.log.push_str(text);
        output::print(text)
    }

    fn step(&mut self, text: &str) -> Result<(), Failure> {
        self.step += 1;
        self.say(&format!("\n{}. {text}\n", self.step))
    }

    fn image(&self, name: &str) -> String {
        format!("{}/demo/{name}:1.0", self.registry.address())
    }

    fn source() -> SourceArgs {
        SourceArgs {
            platform: Some("linux/amd64".to_owned()),
            plain_http: true,
            ca_file: None,
            client_cert: None,
            mirror: Vec::new(),
            timeout: std::time::Duration::from_secs(60),
            offline: false,
            base: None,
            java_index: None,
            jobs: None,
            progress: When::Never,
            cache: CacheArgs {
                no_cache: true,
                place: CachePlaceArgs { cache_dir: None, cache_size: portcullis_scan::LayerCache::DEFAULT_LIMIT },
            },
        }
    }

    fn push(&mut self, image: &images::Built) -> Result<(), Failure> {
        let access = Access::new(&Self::source())?;
        let (client, runtime) = access.registry()?;
        let name = self.image(image.name);
        let reference = name.parse::<portcullis_registry::Reference>()?;
        let digest = runtime.block_on(image.push(client, &reference))?;
        self.say(&format!("   {name}  {digest}\n"))
    }

    /// Scans an image, with the starter database or another one.
    fn scanned(&self, name: &str, database: Option<&Path>) -> Result<scan::Scanned, Failure> {
        let judge = JudgeArgs {
            db: Some(database.map_or_else(|| settings::STARTER.into(), Path::to_owned)),
            policy: Some(self.policy.clone()),
            fail_on: None,
            ignore_unfixed: false,
            vex: Vec::new(),
        };
        scan::scan(&self.image(name), &Self::source(), &judge, &AttestedVexArgs::default(), false, settings::now()?)
    }

    fn scan(&mut self, name: &str) -> Result<Report, Failure> {
        let scan::Scanned { access, source, report, note: _ } = self.scanned(name, None)?;
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).context(|| format!("cannot make {}", folder.display()))?;
        for (format, file) in FORMATS {
            let Some(format) = format_named(format) else { continue };
            let mut bytes = Vec::new();
            format.write(&report, &RenderOptions::default(), &mut bytes).context(|| file.to_owned())?;
            let path = folder.join(file);
            fs::write(&path, bytes).context(|| format!("cannot write {}", path.display()))?;
        }
        self.attest(name, &access, &source, &report)?;
        Ok(report)
    }

    /// Scans an image again when one more advisory is known, which speaks of a library in it.
    fn scan_later(&mut self, name: &str, before: &Report) -> Result<Report, Failure> {
        let folder = self.folder.join("advisories");
        fs::create_dir_all(&folder).context(|| format!("cannot make {}", folder.display()))?;
        write(&folder.join("DEMO-2026-0001.json"), &advisory())?;
        let database = self.folder.join("later.db");
        let mut builder = Builder::new().as_of(settings::now()?).temporary_files_in(&self.folder);
        let cannot = || "cannot build the database".to_owned();
        add_directory(&mut builder, &folder).context(cannot)?;
        builder.write(&database).context(cannot)?;
        let scan::Scanned { access, source, report, note: _ } = self.scanned(name, Some(&database))?;
        self.attest(name, &access, &source, &report)?;
        for change in portcullis_scan::compare_verdicts(&before.verdict, &report.verdict) {
            self.say(&format!("   changed since the first scan: {}\n", change.input))?;
        }
        Ok(report)
    }

    /// Signs what was found, stores it beside the image, and tells it.
    fn attest(&mut self, name: &str, access: &Access, source: &Source, report: &Report) -> Result<(), Failure> {
        let stored = attest::attest(access, source, report, &attest::Plan::with_key(self.key.clone()))?;
        let counted = report.findings.iter().filter(|finding| finding.suppressed.is_none()).count();
        self.say(&format!(
            "   {name}: {}, {}, verdict {}; {} statements signed\n",
            count_of(report.inventory.packages.len(), "package", "packages"),
            count_of(counted, "finding", "findings"),
            report.verdict.result,
            stored.len()
        ))?;
        let reasons = report.verdict.reasons.iter().filter(|reason| reason.result != portcullis_model::Outcome::Pass);
        let reasons: String = reasons.take(3).map(|reason| format!("     {}\n", reason.message)).collect();
        self.say(&reasons)
    }

    fn policies(&self) -> Result<Vec<Policy>, Failure> {
        settings::policies(&self.policy, settings::clock())
    }

    fn verify(&mut self, name: &str) -> Result<(), Failure> {
        let decision = verify::decide(&self.image(name), self.policies()?, None, &Self::source())?;
        let text = verify::as_text(&decision);
        self.say(&indented(&text))
    }

    fn admit(&mut self, name: &str) -> Result<bool, Failure> {
        let path = self.folder.join(format!("pod-{name}.yaml"));
        let manifest = pod(name, &self.image(name));
        write(&path, &manifest)?;
        let answer = admit::decide(&manifest, None, self.policies()?, None, &Self::source())?;
        self.say(&indented(&admit::as_text(&answer)))?;
        Ok(!answer.is_denied() && !answer.is_incomplete())
    }

    /// The demo proves something only if the good is admitted and the bad refused.
    fn finish(mut self, healthy: &Report, vulnerable: &Report, proofs: &[bool]) -> Outcome {
        let folder = self.folder.display().to_string();
        self.say(&format!(
            "\nLeft in {folder}: reports (table, HTML, JSON, SARIF), SBOMs, the policy, Pods, keys, demo.log.\n\
             The starter database knows {} vulnerabilities; `portcullis db update` fetches them all.\n\
             Next: portcullis scan IMAGE\n",
            healthy.database.sources.iter().map(|source| source.records).sum::<u64>()
        ))?;
        write(&self.folder.join(LOG), &self.log)?;
        let is_proved = proofs.iter().all(|proof| *proof) && vulnerable.verdict.result != healthy.verdict.result;
        if is_proved {
            return Ok(ExitStatus::Pass);
        }
        Err(Failure::new("the demo did not end as it should: see demo.log"))
    }
}

/// Makes the folder, or takes that of an earlier demo: files of others are not replaced.
fn take(folder: &Path) -> Result<(), Failure> {
    let cannot = || format!("cannot make {}", folder.display());
    fs::create_dir_all(folder).context(cannot)?;
    let log = folder.join(LOG);
    if !log.exists() && fs::read_dir(folder).context(cannot)?.next().is_some() {
        return Err(Failure::usage(format!("{} holds files that are not of a demo", folder.display()))
            .with_hint("name a folder of its own with --output"));
    }
    write(&log, "")
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).context(|| format!("cannot write {}", path.display()))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("   {line}\n")).collect()
}

fn policy_text(public_key: &str) -> String {
    let key: String = public_key.lines().map(|line| format!("          {line}\n")).collect();
    format!(
        "apiVersion: portcullis.dev/v1alpha1\n\
         kind: ImagePolicy\n\
         metadata: {{name: demo}}\n\
         spec:\n\
        \x20 mode: enforce\n\
        \x20 evidence:\n\
        \x20   authorities:\n\
        \x20     - key: |\n{key}\
        \x20   require: [vulnerabilities, sbom]\n\
        \x20   maxAge: 24h\n\
        \x20 vulnerabilities: {{failOn: high, unrated: low}}\n\
        \x20 unknown: deny\n"
    )
}

/// A record in OSV's form: <https://ossf.github.io/osv-schema/>.
fn advisory() -> String {
    serde_json::json!({
        "schema_version": "1.6.0",
        "id": "DEMO-2026-0001",
        "summary": "A flaw that this demo has made up",
        "modified": "2026-01-01T00:00:00Z",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{
            "package": {"ecosystem": "npm", "name": "lodash"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.22"}]}],
        }],
    })
    .to_string()
}

fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n    - name: app\n      image: {image}\n"
    )
}
