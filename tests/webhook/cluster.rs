//! A real Kubernetes control plane on loopback: etcd, the API server and the controller manager. No kubelet: Pods stay
//! pending, and everything up to that is as in a cluster.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_tests::{cache, free_port, skip};
use serde_json::{Value, json};

use crate::{
    keeper,
    kubectl::Told,
    pki::{self, Authority},
};

/// Where the API server gives Services their addresses. Loopback, since there is no kube-proxy: the API server then
/// calls a webhook's Service at this address itself, and nothing leaves the machine.
const SERVICE_RANGE: &str = "127.96.0.0/16";
const FIRST_SERVICE: &str = "127.96.0.1";

/// What is written to the audit log.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\n\
    rules:\n- {level: Metadata, verbs: [create, update, patch, delete]}\n- {level: None}\n";

/// A running control plane; it ends with the process, or when it is dropped.
pub struct Cluster {
    programs: PathBuf,
    pub folder: PathBuf,
    port: u16,
    etcd_ports: [u16; 2],
    pub authority: Authority,
    /// Of a user in `system:masters`.
    pub token: String,
    processes: Mutex<Vec<(&'static str, Child)>>,
}

impl Cluster {
    /// The one that all tests share; none where the programs are missing.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("shared", &[], true)).as_ref()
    }

    /// Starts one, with further flags for the API server; with the controller manager if wanted.
    pub fn start(name: &str, flags: &[&str], controllers: bool) -> Option<Self> {
        let programs = cache().join("control-plane");
        let missing = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"]
            .into_iter()
            .find(|program| !programs.join(program).is_file());
        if let Some(program) = missing {
            skip(&format!("a Kubernetes control plane: {program} is missing; tests/run builds it"));
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("control-plane").join(name);
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("pki")).unwrap();
        let token = format!("{:032x}", fastrand::u128(..));
        let cluster = Self {
            programs,
            folder,
            port: free_port(),
            etcd_ports: [free_port(), free_port()],
            authority: Authority::new(),
            token,
            processes: Mutex::default(),
        };
        cluster.write_files();
        cluster.start_etcd();
        cluster.start_api_server(flags);
        if controllers {
            cluster.start_controllers();
        }
        Some(cluster)
    }

    fn pki(&self, name: &str) -> String {
        self.folder.join("pki").join(name).display().to_string()
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    fn write_files(&self) {
        let pki = self.folder.join("pki");
        fs::write(pki.join("ca.crt"), &self.authority.certificate).unwrap();
        let names = ["127.0.0.1", FIRST_SERVICE, "localhost", "kubernetes.default.svc"];
        self.authority.server(&names).write(&pki, "server");
        self.authority.client("admin", Some("system:masters")).write(&pki, "admin");
        self.authority.client("system:kube-controller-manager", None).write(&pki, "controllers");
        pki::service_account_keys(&pki);
        fs::write(pki.join("tokens.csv"), format!("{},test,test,system:masters\n", self.token)).unwrap();
        fs::write(self.folder.join("audit-policy.yaml"), AUDIT_POLICY).unwrap();
        for user in ["admin", "controllers"] {
            let text = format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
                 clusters: [{{name: test, cluster: {{server: \"{}\", certificate-authority: \"{}\"}}}}]\n\
                 users: [{{name: {user}, user: {{client-certificate: \"{}\", client-key: \"{}\"}}}}]\n\
                 contexts: [{{name: test, context: {{cluster: test, user: {user}, namespace: default}}}}]\n",
                self.url(),
                self.pki("ca.crt"),
                self.pki(&format!("{user}.crt")),
                self.pki(&format!("{user}.key")),
            );
            fs::write(self.folder.join(format!("{user}.kubeconfig")), text).unwrap();
        }
    }

    /// The kubeconfig of whoever has a token.
    pub fn kubeconfig_of(&self, namespace: &str, token: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: \"{}\", certificate-authority: \"{}\"}}}}]\n\
             users: [{{name: test, user: {{token: \"{token}\"}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test, namespace: {namespace}}}}}]\n",
            self.url(),
            self.pki("ca.crt"),
        )
    }

    fn run(&self, name: &'static str, arguments: &[OsString]) {
        let log = self.folder.join(format!("{name}.log"));
        let child = keeper::start(&self.programs.join(name), arguments, &log);
        self.processes.lock().unwrap().push((name, child));
    }

    /// Has etcd forget all but what is there now. Its API: <https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/>.
    pub fn compact(&self) {
        let post = |path: &str, body: &Value| {
            let url = format!("http://127.0.0.1:{}/v3/{path}", self.etcd_ports[0]);
            let answer = self.http().post(url).body(body.to_string()).send().unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
            serde_json::from_str::<Value>(&answer.text().unwrap()).unwrap()
        };
        let key = STANDARD.encode("/");
        let revision = post("kv/range", &json!({"key": key}))["header"]["revision"].clone();
        post("kv/compaction", &json!({"revision": revision, "physical": true}));
    }

    /// Starts etcd where it was: what it held it still holds.
    pub fn start_etcd(&self) {
        let [client, peer] = self.etcd_ports.map(|port| format!("http://127.0.0.1:{port}"));
        let data = self.folder.join("etcd").display().to_string();
        let members = format!("test={peer}");
        // Nothing here outlives a crash of the machine, so nothing waits for the disk.
        let arguments = ["--name", "test", "--data-dir", &data, "--log-level", "warn", "--unsafe-no-fsync"];
        let addresses = [
            ["--listen-client-urls", &client, "--advertise-client-urls", &client],
            ["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer],
        ];
        let initial = ["--initial-cluster", &members];
        let all = arguments.iter().chain(addresses.as_flattened()).chain(&initial);
        self.run("etcd", &keeper::arguments(all));
        self.wait_until("etcd", &format!("{client}/health"));
    }

    fn start_api_server(&self, more: &[&str]) {
        let mut flags = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_ports[0]),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.port),
            // Else it looks for a route to the world, and writes that address into the Endpoints of `kubernetes`.
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--tls-cert-file={}", self.pki("server.crt")),
            format!("--tls-private-key-file={}", self.pki("server.key")),
            format!("--client-ca-file={}", self.pki("ca.crt")),
            format!("--token-auth-file={}", self.pki("tokens.csv")),
            "--authorization-mode=Node,RBAC".to_owned(),
            format!("--service-cluster-ip-range={SERVICE_RANGE}"),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", self.pki("service-accounts.pub")),
            format!("--service-account-signing-key-file={}", self.pki("service-accounts.key")),
            "--profiling=false".to_owned(),
            format!("--audit-policy-file={}", self.folder.join("audit-policy.yaml").display()),
            format!("--audit-log-path={}", self.audit_log().display()),
        ];
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        self.run("kube-apiserver", &keeper::arguments(flags));
        self.wait_until("kube-apiserver", &format!("{}/readyz", self.url()));
    }

    fn start_controllers(&self) {
        let (port, kubeconfig) = (free_port(), self.folder.join("controllers.kubeconfig").display().to_string());
        let flags = [
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", self.pki("server.crt")),
            format!("--tls-private-key-file={}", self.pki("server.key")),
            "--leader-elect=false".to_owned(),
            // Pods of a ReplicaSet then come from the controller's own account, as in a cluster.
            "--use-service-account-credentials=true".to_owned(),
            format!("--service-account-private-key-file={}", self.pki("service-accounts.key")),
            format!("--root-ca-file={}", self.pki("ca.crt")),
        ];
        self.run("kube-controller-manager", &keeper::arguments(flags));
        self.wait_until("kube-controller-manager", &format!("https://127.0.0.1:{port}/healthz"));
    }

    /// Ends a program at once.
    pub fn kill(&self, name: &str) {
        let mut processes = self.processes.lock().unwrap();
        let at = processes.iter().position(|(known, _)| *known == name).unwrap();
        let (_, mut child) = processes.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A client of the API server and of everything that this cluster's authority vouches for.
    pub fn http(&self) -> reqwest::blocking::Client {
        let authority = reqwest::Certificate::from_pem(self.authority.certificate.as_bytes()).unwrap();
        reqwest::blocking::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap()
    }

    fn wait_until(&self, name: &str, url: &str) {
        let client = self.http();
        let is_ready = || client.get(url).send().is_ok_and(|answer| answer.status().is_success());
        let log = self.folder.join(format!("{name}.log"));
        let is_running = || {
            let mut processes = self.processes.lock().unwrap();
            let (_, child) = processes.iter_mut().rfind(|(known, _)| *known == name).unwrap();
            child.try_wait().unwrap().is_none()
        };
        eventually(&format!("{name} is ready; see {}", log.display()), || {
            assert!(is_running(), "{name} has ended: {}", fs::read_to_string(&log).unwrap_or_default());
            is_ready().then_some(())
        });
    }

    pub fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.jsonl")
    }

    /// The events of the audit log about an object.
    pub fn audited(&self, namespace: &str, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.audit_log()).unwrap_or_default();
        let events = text.lines().filter(|line| line.contains(namespace) && line.contains(name));
        let events = events.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| event["objectRef"]["namespace"] == namespace && event["objectRef"]["name"] == name)
            .collect()
    }

    /// `kubectl`, as the administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Told {
        Told::by(self.command().args(arguments), None)
    }

    /// The same, with an object or a list of them as its input.
    pub fn kubectl_with(&self, arguments: &[&str], object: &Value) -> Told {
        Told::by(self.command().args(arguments), Some(object.to_string().as_bytes()))
    }

    /// `kubectl` with the kubeconfig of the administrator.
    pub fn command(&self) -> Command {
        self.command_as(&self.kubeconfig())
    }

    /// `kubectl` as nobody, until a token is given.
    pub fn anonymous(&self) -> Command {
        let mut command = self.command_as(Path::new("/dev/null"));
        command.args(["--server", &self.url(), "--certificate-authority", &self.pki("ca.crt")]);
        command
    }

    fn command_as(&self, kubeconfig: &Path) -> Command {
        let mut command = Command::new(self.programs.join("kubectl"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", &self.folder).arg("--kubeconfig").arg(kubeconfig);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (_, mut child) in self.processes.lock().unwrap().drain(..).rev() {
            _ = child.kill();
            _ = child.wait();
        }
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// Asks again and again for what takes a moment, for up to a minute.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
