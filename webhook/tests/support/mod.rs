//! What the webhook's tests share: the real program over TLS, images and evidence at a registry, reviews.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    dead_code,
    reason = "shared by several test programs, which fail by panicking and show the log of the webhook"
)]

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use portcullis_attest::{Bundle, SigningKey, VerificationSummary, store, vulnerability_statement};
use portcullis_embedded_registry::{EmbeddedRegistry, Handle};
use portcullis_model::{
    AdvisoryCoverage, DatabaseInfo, Digest, Evidence, Finding, FindingPackage, FixState, Inputs, Inventory, Outcome,
    PackageType, PolicyRef, Reason, Report, SCHEMA_VERSION, Severity, SeverityLevel, Target, Text, Timestamp, Tool,
    Verdict,
};
use portcullis_registry::{Client, Credentials, Descriptor, Options, PlainHttp, Reference, media_type};
use serde_json::{Value, json};

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap())
}

pub(crate) fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_unix(now().unix() - seconds)
}

pub(crate) fn client() -> Client {
    let options = Options { plain_http: PlainHttp::Always, timeout: Duration::from_secs(5), ..Options::default() };
    Client::new(options, Credentials::anonymous()).unwrap()
}

/// Stores a small image under a name, which differs by `content`.
pub(crate) async fn push_image(registry: SocketAddr, name: &str, content: &str) -> (Reference, Descriptor) {
    let at: Reference = format!("{registry}/{name}").parse().unwrap();
    let client = client();
    client.push_blob(&at, Bytes::from_static(b"{}")).await.unwrap();
    client.push_blob(&at, Bytes::from(content.to_owned())).await.unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [Descriptor::of("application/vnd.oci.image.layer.v1.tar", content.as_bytes())],
    });
    let bytes = Bytes::from(manifest.to_string());
    let descriptor = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
    client.push_manifest(&at, bytes, media_type::OCI_MANIFEST).await.unwrap();
    (at, descriptor)
}

/// Evidence to store; by default a fresh pass without findings, about the image that it is stored beside.
pub(crate) struct Attested {
    pub(crate) result: Outcome,
    pub(crate) time: Timestamp,
    /// Another repository than the image's.
    pub(crate) resource: Option<Reference>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) with_scan: bool,
    /// The policy that was asked; some other one if left out.
    pub(crate) policy: Option<Digest>,
    /// What the scan says beside its result: rule and message.
    pub(crate) notes: Vec<(&'static str, &'static str)>,
    /// Of which packages advisories spoke.
    pub(crate) coverage: AdvisoryCoverage,
}

impl Default for Attested {
    fn default() -> Self {
        Self {
            result: Outcome::Pass,
            time: ago(60),
            resource: None,
            findings: Vec::new(),
            with_scan: true,
            policy: None,
            notes: Vec::new(),
            coverage: AdvisoryCoverage::default(),
        }
    }
}

impl Attested {
    pub(crate) async fn store(self, at: &Reference, subject: &Descriptor, key: &SigningKey) {
        let Self { result, time, resource, findings, with_scan, policy, notes, coverage } = self;
        let mut report = report(subject.digest, result, time, findings);
        report.advisory_coverage = Some(coverage);
        report.verdict.reasons.extend(notes.into_iter().map(|(rule, message)| Reason {
            result: Outcome::Pass,
            rule: rule.to_owned(),
            message: message.to_owned(),
        }));
        if let Some(policy) = policy {
            report.verdict.policy.digest = policy;
        }
        let resource = resource.as_ref().unwrap_or(at);
        let summary = VerificationSummary::of(&report.verdict, resource, &subject.digest, Vec::new());
        let mut statements = vec![summary.statement(resource, &subject.digest).unwrap()];
        if with_scan {
            statements.push(vulnerability_statement(&report, at, &subject.digest).unwrap());
        }
        let bundles: Vec<Bundle> =
            statements.iter().map(|statement| Bundle::sign(statement, key, time).unwrap()).collect();
        store(&client(), at, subject, &bundles).await.unwrap();
    }
}

/// An image with evidence.
pub(crate) async fn attested(
    registry: SocketAddr,
    name: &str,
    key: &SigningKey,
    evidence: Attested,
) -> (String, Digest) {
    let (at, subject) = push_image(registry, name, name).await;
    evidence.store(&at, &subject, key).await;
    (at.to_string(), subject.digest)
}

pub(crate) fn finding(level: SeverityLevel, published: Timestamp) -> Finding {
    Finding {
        id: "DEBIAN-CVE-2024-0727".into(),
        aliases: vec!["CVE-2024-0727".into()],
        cve: Some("CVE-2024-0727".into()),
        title: Text::default(),
        package: Arc::new(FindingPackage {
            kind: PackageType::Deb,
            name: "openssl".into(),
            version: "3.0.11-1".into(),
            purl: "pkg:deb/debian/openssl@3.0.11-1".into(),
            locations: Vec::new(),
        }),
        severity: Severity { level, ..Severity::default() },
        state: FixState::Fixed,
        fixed_versions: vec!["3.0.13-1".into()],
        last_affected: None,
        kev: false,
        epss: None,
        published: Some(published),
        cwes: Vec::new(),
        references: Vec::new(),
        denied: false,
        suppressed: None,
        evidence: Evidence {
            ecosystem: "Debian:12".into(),
            name: "openssl".into(),
            version: "3.0.11-1".into(),
            range: ">= 0, < 3.0.13-1".into(),
            sources: vec!["DEBIAN-CVE-2024-0727".into()],
        },
    }
}

pub(crate) fn report(image: Digest, result: Outcome, time: Timestamp, findings: Vec<Finding>) -> Report {
    let digest = |text: &str| Digest::of(text.as_bytes());
    let inputs = Inputs {
        image: Some(image),
        inventory: digest("inventory"),
        database: digest("database"),
        policy: digest("policy"),
        vex: Vec::new(),
        engine: "0.1.0".into(),
    };
    let reason = Reason { result, rule: "vulnerabilities.failOn".into(), message: "as the test says".into() };
    Report {
        schema_version: SCHEMA_VERSION,
        created: time,
        tool: Tool { name: "portcullis".into(), version: "0.1.0".into() },
        target: Target { digest: Some(image), ..Target::named("registry.example/app:v1") },
        distribution: None,
        advisory_coverage: Some(AdvisoryCoverage::default()),
        inventory: Inventory::default(),
        findings,
        upgrades: Vec::new(),
        verdict: Verdict {
            result,
            policy: PolicyRef { name: "pipeline".into(), digest: digest("policy"), audit: false },
            reasons: vec![reason],
            inputs,
            time,
        },
        coverage: None,
        executables: None,
        database: DatabaseInfo { digest: digest("database"), built: time, starter: false, sources: Vec::new() },
    }
}

/// A registry and a key that policies trust.
pub(crate) struct Setting {
    _registry: Handle,
    pub(crate) at: SocketAddr,
    pub(crate) key: SigningKey,
}

pub(crate) fn setting() -> Setting {
    let registry = EmbeddedRegistry::start(portcullis_embedded_registry::Options::default()).unwrap();
    Setting { at: registry.address(), _registry: registry, key: SigningKey::generate().unwrap() }
}

impl Setting {
    pub(crate) fn webhook(&self, more_spec: &str, args: &[&str]) -> Webhook {
        Webhook::start(&policy("baseline", self.at, &self.key, more_spec), self.at, args)
    }

    /// An image with evidence: its name by tag, and by digest.
    pub(crate) async fn image(&self, name: &str, evidence: Attested) -> (String, String) {
        let (image, digest) = attested(self.at, name, &self.key, evidence).await;
        let (repository, _) = image.rsplit_once(':').unwrap();
        (image.clone(), format!("{repository}@{digest}"))
    }
}

/// A policy that trusts `key`, for the images of `registry`; `more` is the rest of its spec.
pub(crate) fn policy(name: &str, registry: SocketAddr, key: &SigningKey, more: &str) -> String {
    let pem = serde_json::to_string(&key.verifying_key().to_pem()).unwrap();
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         images: [\"{registry}/**\"]\n  evidence: {{authorities: [{{key: {pem}}}], maxAge: 24h}}\n{more}"
    )
}

/// The running program; killed on drop.
pub(crate) struct Webhook {
    child: Child,
    address: SocketAddr,
    http: reqwest::Client,
    pub(crate) folder: tempfile::TempDir,
    log: mpsc::Receiver<String>,
}

impl Webhook {
    pub(crate) fn start(policy: &str, registry: SocketAddr, more: &[&str]) -> Self {
        Self::start_with(policy, registry, more, &[])
    }

    /// With variables in its environment, which is empty otherwise.
    pub(crate) fn start_with(policy: &str, registry: SocketAddr, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (policy_file, ca) = (folder.path().join("policy.yaml"), folder.path().join("ca.pem"));
        std::fs::write(&policy_file, policy).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
        command
            .env_clear()
            .env("HOME", folder.path())
            .envs(variables.iter().copied())
            .arg("--policy")
            .arg(&policy_file)
            .arg("--ca-out")
            .arg(&ca);
        command.args(["--listen", "127.0.0.1:0", "--plain-http", &registry.to_string()]).args(more);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, log) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                eprintln!("webhook: {line}");
                _ = sender.send(line);
            }
        });
        let address = loop {
            let line = log.recv_timeout(Duration::from_secs(20)).expect("the webhook starts");
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if line["message"] == "listening" {
                break line["address"].as_str().unwrap().parse().unwrap();
            }
        };
        let ca = reqwest::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
        Self { child, address, http, folder, log }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let request = self.http.post(self.url(path)).header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Sends a review that is part of a trace, and gives the status.
    pub(crate) async fn post_within(&self, path: &str, review: &Value, headers: &[(&str, &str)]) -> u16 {
        let request = self.http.post(self.url(path)).header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(review.to_string()).send().await.unwrap().status().as_u16()
    }

    /// Sends a review and gives the response.
    pub(crate) async fn ask(&self, path: &str, review: &Value) -> Value {
        let (status, body) = self.post(path, review.to_string()).await;
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["apiVersion"], &body["kind"]), (&json!("admission.k8s.io/v1"), &json!("AdmissionReview")));
        assert_eq!(body["response"]["uid"], review["request"]["uid"]);
        body["response"].clone()
    }

    pub(crate) async fn mutate(&self, object: &Value) -> Value {
        self.ask("/mutate", &review("CREATE", object, None)).await
    }

    pub(crate) async fn validate(&self, object: &Value) -> Value {
        self.ask("/validate", &review("CREATE", object, None)).await
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Waits for a line of the log that has `text` in it.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(Duration::from_secs(20)).expect("the line is written");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The most memory that the process has had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

pub(crate) fn pod(images: &[&str]) -> Value {
    let containers: Vec<Value> = images
        .iter()
        .enumerate()
        .map(|(number, image)| json!({"name": format!("c{number}"), "image": image, "unknownField": number}))
        .collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "team"},
        "spec": {"containers": containers}})
}

pub(crate) fn deployment(images: &[&str]) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "team"},
        "spec": {"replicas": 1, "template": {"spec": pod(images)["spec"]}}})
}

pub(crate) fn review(operation: &str, object: &Value, old: Option<&Value>) -> Value {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": group, "version": version, "kind": object["kind"]},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "p", "namespace": "team", "operation": operation, "dryRun": false,
        "userInfo": {"username": "admin"}, "object": object, "oldObject": old, "options": null}})
}

/// The patch of a response.
pub(crate) fn patch(response: &Value) -> Value {
    let Some(patch) = response["patch"].as_str() else { return Value::Null };
    assert_eq!(response["patchType"], "JSONPatch");
    serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap()
}

pub(crate) fn is_allowed(response: &Value) -> bool {
    response["allowed"].as_bool().unwrap()
}

/// The words of a refusal.
pub(crate) fn refusal(response: &Value) -> &str {
    assert!(!is_allowed(response), "{response}");
    assert!(response.get("patch").is_none(), "{response}");
    response["status"]["message"].as_str().unwrap()
}
