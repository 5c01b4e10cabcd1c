//! The webhook as users run it, behind the configurations that we ship, on the real API server.

use std::{fs, net::SocketAddr, path::Path, process::Child};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_tests::program;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, eventually},
    images::{file, policy, registry},
    keeper,
    kubectl::{Namespace, deployment, pod},
    pki::Authority,
};

/// One running webhook; killed on drop.
pub struct Replica {
    child: Child,
    pub address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Replica {
    /// Starts the program with a policy, its certificate signed by the cluster's authority.
    pub fn start(cluster: &Cluster, policy: &str, registry: SocketAddr, more: &[&str]) -> Self {
        Self::signed_by(&cluster.authority, policy, registry, more)
    }

    /// The same, without a cluster.
    pub fn signed_by(authority: &Authority, policy: &str, registry: SocketAddr, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        authority.server(&["127.0.0.1", "*.portcullis.svc", "*.replaced-service.svc"]).write(folder.path(), "tls");
        file(folder.path(), "policy.yaml", policy);
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut arguments = vec![
            "--listen=127.0.0.1:0".to_owned(),
            format!("--plain-http={registry}"),
            format!("--policy={}", path("policy.yaml")),
            format!("--tls-cert={}", path("tls.crt")),
            format!("--tls-key={}", path("tls.key")),
        ];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        Self::run(&arguments, folder)
    }

    /// Starts the program and waits until it listens. The folder, which its arguments may name, is kept as long.
    pub fn run(arguments: &[String], folder: tempfile::TempDir) -> Self {
        Self::run_program(&program("portcullis-webhook"), arguments, folder)
    }

    /// The same for another program, which says where it listens in the same way.
    pub fn run_program(program: &Path, arguments: &[String], folder: tempfile::TempDir) -> Self {
        let log = folder.path().join("log");
        let mut child = keeper::start(program, &keeper::arguments(arguments), &log);
        let address = eventually("the webhook listens", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "the webhook has ended: {text}");
            listening(&text)
        });
        Self { child, address, folder }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let mut kill = std::process::Command::new("kill");
        assert!(kill.arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn listening(log: &str) -> Option<SocketAddr> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.into_iter().find(|line| line["message"] == "listening")?;
    line["address"].as_str()?.parse().ok()
}

/// The webhook configurations that we ship, called as a test needs them; they go away when this is dropped.
pub struct Configured<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> Configured<'a> {
    /// Applies them for one namespace and a webhook at an address, and waits until they are in force.
    pub fn new(namespace: Namespace<'a>, webhook: SocketAddr) -> Self {
        Self::by(namespace, &json!({"url": format!("https://{webhook}")}))
    }

    /// The same with a `clientConfig`: a `url` without its path, or a `service`.
    pub fn by(namespace: Namespace<'a>, client: &Value) -> Self {
        let Namespace { cluster, name } = namespace;
        let configured = Self { cluster, name: name.to_owned() };
        configured.apply(client);
        // No registry has to be asked in order to refuse these.
        let nameless = pod("probe", &["///"]);
        let template = deployment("probe", 1, &["///"]);
        eventually("the webhooks are called", || {
            let dry_run = ["create", "--dry-run=server", "-f", "-"];
            let refused = namespace.kubectl_with(&dry_run, &nameless);
            let warned = namespace.kubectl_with(&dry_run, &template);
            let is_told = !warned.stderr.is_empty();
            (!refused.is_ok() && refused.stderr.contains("pin.portcullis.dev") && is_told).then_some(())
        });
        configured
    }

    fn apply(&self, client: &Value) {
        for mut configuration in shipped() {
            configuration["metadata"] = json!({"name": self.name});
            for webhook in configuration["webhooks"].as_array_mut().unwrap() {
                let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap().to_owned();
                let client = match client["url"].as_str() {
                    Some(url) => json!({"url": format!("{url}{path}")}),
                    None => {
                        let mut client = client.clone();
                        client["service"]["path"] = path.into();
                        client
                    }
                };
                webhook["clientConfig"] = client;
                webhook["clientConfig"]["caBundle"] = STANDARD.encode(&self.cluster.authority.certificate).into();
                webhook["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": self.name}});
            }
            self.cluster.kubectl_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &configuration).ok();
        }
    }
}

impl Drop for Configured<'_> {
    fn drop(&mut self) {
        for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
            _ = self.cluster.kubectl(&["delete", kind, &self.name, "--ignore-not-found"]);
        }
    }
}

/// The two webhook configurations of `webhook/manifests`.
pub fn shipped() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webhook/manifests/portcullis.yaml");
    let manifests: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap();
    let is_configuration = |manifest: &Value| manifest["kind"].as_str().unwrap().ends_with("WebhookConfiguration");
    let shipped: Vec<Value> = manifests.into_iter().filter(is_configuration).collect();
    assert_eq!(shipped.len(), 2);
    shipped
}

/// A namespace that one webhook of its own guards: what most tests need.
pub struct Guarded<'a> {
    // Dropped first: else the API server would call a webhook that is gone.
    pub configured: Option<Configured<'a>>,
    pub webhook: Replica,
    pub namespace: Namespace<'a>,
}

impl<'a> Guarded<'a> {
    /// With the policy that trusts the tests' keys.
    pub fn new(name: &'a str) -> Option<Self> {
        Self::after(name, |_| ())
    }

    /// The same, over a namespace that is not empty.
    pub fn after(name: &'a str, fill: impl FnOnce(&Namespace<'a>)) -> Option<Self> {
        let mut unguarded = Self::unguarded(name, registry(), &policy(registry(), ""), &[])?;
        fill(&unguarded.namespace);
        unguarded.guard();
        Some(unguarded)
    }

    /// With a policy for the images of a registry, and more flags.
    pub fn with(name: &'a str, registry: SocketAddr, policy: &str, flags: &[&str]) -> Option<Self> {
        let mut unguarded = Self::unguarded(name, registry, policy, flags)?;
        unguarded.guard();
        Some(unguarded)
    }

    fn unguarded(name: &'a str, registry: SocketAddr, policy: &str, flags: &[&str]) -> Option<Self> {
        let cluster = portcullis_tests::is_on().then(Cluster::shared).flatten()?;
        let webhook = Replica::start(cluster, policy, registry, flags);
        Some(Self { configured: None, webhook, namespace: Namespace::new(cluster, name) })
    }

    fn guard(&mut self) {
        self.configured = Some(Configured::new(self.namespace, self.webhook.address));
    }
}
