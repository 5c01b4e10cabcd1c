//! Several ways to ask a registry: what becomes of a tenant's own credentials hides nothing that the gate can see.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use portcullis_admission::{Decision, FoundSecrets, Gate, Options, PullIdentity, Surroundings};
use portcullis_attest::{SigningKey, store};
use portcullis_embedded_registry::EmbeddedRegistry;
use portcullis_model::{Outcome, Timestamp};
use portcullis_policy::Policy;
use portcullis_registry::{Credentials, Descriptor, PullSecretForm, PullSecrets, Reference, media_type};
use serde_json::{Value, json};
use support::{NOW, client, policy, signed};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// A registry that tells its users apart: `gate` and those called `team` get what is there, those called `away` too many
/// requests, those called `slow` no answer; all others are refused. While it is away, all of them get too many requests.
async fn front(registry: SocketAddr, is_away: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, registry, is_away.load(Ordering::SeqCst)));
        }
    });
    at
}

/// One request of a connection.
async fn answer(mut stream: TcpStream, registry: SocketAddr, is_away: bool) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let shown = head.lines().find_map(|line| line.split_once("Basic ").filter(|(name, _)| name.len() < 20));
    let user = shown.and_then(|(_, text)| String::from_utf8(STANDARD.decode(text).ok()?).ok()).unwrap_or_default();
    let refusal = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    match user.split_once(':').map_or("", |(user, _)| user) {
        _ if is_away => {
            stream.write_all(refusal("429 Too Many Requests\r\nRetry-After: 3600").as_bytes()).await.ok()?;
        }
        user if user == "gate" || user.starts_with("team") => {
            let mut upstream = TcpStream::connect(registry).await.ok()?;
            let lines = head.trim_end().lines().filter(|line| !line.to_lowercase().starts_with("authorization"));
            let lines: Vec<&str> = lines.chain(["Connection: close", "", ""]).collect();
            upstream.write_all(lines.join("\r\n").as_bytes()).await.ok()?;
            copy_bidirectional(&mut stream, &mut upstream).await.ok()?;
        }
        user if user.starts_with("slow") => std::future::pending().await,
        user if user.starts_with("away") => {
            stream.write_all(refusal("429 Too Many Requests\r\nRetry-After: 3600").as_bytes()).await.ok()?;
        }
        _ => {
            stream
                .write_all(refusal("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"").as_bytes())
                .await
                .ok()?;
        }
    }
    Some(())
}

/// A cluster whose Pods show the credentials of those of these users that they name.
#[derive(Debug)]
struct Tenant(SocketAddr, Vec<String>);

impl Surroundings for Tenant {
    fn namespace<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Option<Arc<Value>>> {
        Box::pin(std::future::ready(None))
    }

    fn pull_secrets<'a>(&'a self, identity: PullIdentity<'a>) -> BoxFuture<'a, FoundSecrets> {
        let mut secrets = PullSecrets::default();
        for user in self.1.iter().filter(|user| identity.secrets.contains(user)) {
            secrets.add(PullSecretForm::DockerConfigJson, &docker_config(self.0, user)).unwrap();
        }
        Box::pin(std::future::ready(FoundSecrets { secrets, problems: Vec::new() }))
    }
}

fn docker_config(at: SocketAddr, user: &str) -> String {
    json!({"auths": {at.to_string(): {"auth": STANDARD.encode(format!("{user}:password"))}}}).to_string()
}

/// An image behind a front, and who vouches for it.
struct Setting {
    _registry: portcullis_embedded_registry::Handle,
    inside: SocketAddr,
    front: SocketAddr,
    is_away: Arc<AtomicBool>,
    key: SigningKey,
    subject: Descriptor,
}

impl Setting {
    async fn new() -> Self {
        let registry = EmbeddedRegistry::start(portcullis_embedded_registry::Options::default()).unwrap();
        let inside = registry.address();
        let client = client(Credentials::anonymous());
        let at: Reference = format!("{inside}/app:v1").parse().unwrap();
        client.push_blob(&at, Bytes::from_static(b"{}")).await.unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
            "config": Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}"),
        });
        let subject = push(inside, media_type::OCI_MANIFEST, &manifest).await;
        let is_away = Arc::new(AtomicBool::new(false));
        let front = front(inside, Arc::clone(&is_away)).await;
        Self { _registry: registry, inside, front, is_away, key: SigningKey::generate().unwrap(), subject }
    }

    /// An index of the image alone.
    async fn index(&self) -> Descriptor {
        let mut entry = serde_json::to_value(&self.subject).unwrap();
        entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [entry]});
        push(self.inside, media_type::OCI_INDEX, &index).await
    }

    /// Attests a verdict of so many seconds ago.
    async fn attest(&self, result: Outcome, seconds_ago: i64) {
        self.attest_of(&self.subject, result, seconds_ago).await;
    }

    async fn attest_of(&self, subject: &Descriptor, result: Outcome, seconds_ago: i64) {
        let image: Reference = format!("{}/app:v1", self.front).parse().unwrap();
        let bundle = signed(&self.key, &image, subject.digest, result, seconds_ago);
        let at: Reference = format!("{}/app:v1", self.inside).parse().unwrap();
        store(&client(Credentials::anonymous()), &at, subject, &[bundle]).await.unwrap();
    }

    /// A gate with credentials of its own, in a cluster where Pods show those of `users`.
    fn gate(&self, users: &[&str], time_limit: Duration) -> Gate {
        self.gate_of("gate", users, time_limit)
    }

    /// One whose own credentials are those of this user.
    fn gate_of(&self, own: &str, users: &[&str], time_limit: Duration) -> Gate {
        let users = users.iter().map(|user| (*user).to_owned()).collect();
        let options = Options {
            time_limit,
            now: Some(Timestamp::from_unix(NOW)),
            surroundings: Some(Arc::new(Tenant(self.front, users))),
            ..Options::default()
        };
        let own = Credentials::from_docker_config(&docker_config(self.front, own)).unwrap();
        Gate::new(self.policy("24h"), client(own), options).unwrap()
    }

    /// From here on, all get too many requests.
    fn go_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }

    fn policy(&self, max_age: &str) -> Vec<Policy> {
        policy("p", &self.key, max_age)
    }

    async fn decide(&self, gate: &Gate, secrets: &[&str]) -> Decision {
        self.decide_on(&self.subject, gate, secrets).await
    }

    async fn decide_on(&self, subject: &Descriptor, gate: &Gate, secrets: &[&str]) -> Decision {
        let image = format!("{}/app@{}", self.front, subject.digest);
        let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "team"},
            "spec": {"containers": [{"name": "c", "image": image}], "imagePullSecrets": secrets}});
        gate.look_again(&pod).await.unwrap()
    }
}

async fn push(at: SocketAddr, kind: &str, manifest: &Value) -> Descriptor {
    let bytes = Bytes::from(manifest.to_string());
    let descriptor = Descriptor::of(kind, &bytes);
    let at: Reference = format!("{at}/app:v1").parse().unwrap();
    client(Credentials::anonymous()).push_manifest(&at, bytes, kind).await.unwrap();
    descriptor
}

#[tokio::test]
async fn an_outage_of_a_tenants_own_credential_hides_no_newer_failure() {
    let setting = Setting::new().await;
    setting.attest(Outcome::Pass, 3600).await;
    let gate = setting.gate(&["away"], Duration::from_secs(10));
    assert!(setting.decide(&gate, &[]).await.allowed);
    setting.attest(Outcome::Fail, 60).await;
    // Another policy: so nothing that was judged is kept, but what the registry gave is.
    let gate = gate.with_policies(setting.policy("23h")).unwrap();
    let decision = setting.decide(&gate, &["away"]).await;
    assert!(!decision.allowed, "{decision:?}");
    let message = decision.message.unwrap();
    assert!(!message.contains("too many requests"), "{message}");
}

#[tokio::test]
async fn credentials_that_get_no_answer_use_up_nobody_elses_time() {
    let setting = Setting::new().await;
    setting.attest(Outcome::Pass, 3600).await;
    let slow = ["slow1", "slow2", "slow3", "slow4", "slow5", "slow6"];
    let gate = setting.gate(&slow, Duration::from_secs(4));
    let decision = setting.decide(&gate, &slow).await;
    assert!(decision.allowed, "what the gate's own credentials open is enough: {decision:?}");
    setting.attest(Outcome::Fail, 60).await;
    let gate = gate.with_policies(setting.policy("23h")).unwrap();
    let decision = setting.decide(&gate, &slow).await;
    assert!(!decision.allowed, "{decision:?}");
}

#[tokio::test]
async fn a_failure_that_was_seen_counts_when_the_registry_is_away() {
    let setting = Setting::new().await;
    setting.attest(Outcome::Pass, 3600).await;
    let gate = setting.gate(&[], Duration::from_secs(10));
    assert!(setting.decide(&gate, &[]).await.allowed);
    setting.attest(Outcome::Fail, 60).await;
    // Another policy: so nothing that was judged is kept, but what the registry gave is.
    let [stricter, strictest] = ["23h", "22h"].map(|age| gate.with_policies(setting.policy(age)).unwrap());
    assert!(!setting.decide(&stricter, &[]).await.allowed);
    setting.go_away();
    for gate in [stricter, strictest] {
        let decision = setting.decide(&gate, &[]).await;
        assert!(!decision.allowed, "{decision:?}");
    }
}

#[tokio::test]
async fn a_pass_that_was_seen_counts_when_the_registry_is_away() {
    let setting = Setting::new().await;
    setting.attest(Outcome::Fail, 3600).await;
    setting.attest(Outcome::Pass, 60).await;
    let gate = setting.gate(&[], Duration::from_secs(10));
    assert!(setting.decide(&gate, &[]).await.allowed);
    // That another policy refuses what is there takes nothing away from those that do not.
    assert!(!setting.decide(&gate.with_policies(setting.policy("30s")).unwrap(), &[]).await.allowed);
    setting.go_away();
    let decision = setting.decide(&gate.with_policies(setting.policy("23h")).unwrap(), &[]).await;
    assert!(decision.allowed, "{decision:?}");
}

#[tokio::test]
async fn a_failure_that_one_tenant_saw_counts_for_the_others_when_the_registry_is_away() {
    let setting = Setting::new().await;
    setting.attest(Outcome::Pass, 3600).await;
    let gate = setting.gate_of("nobody", &["team-a", "team-b"], Duration::from_secs(10));
    assert!(setting.decide(&gate, &["team-a"]).await.allowed);
    setting.attest(Outcome::Fail, 60).await;
    let gate = gate.with_policies(setting.policy("23h")).unwrap();
    assert!(!setting.decide(&gate, &["team-b"]).await.allowed);
    setting.go_away();
    let decision = setting.decide(&gate, &["team-a"]).await;
    assert!(!decision.allowed, "{decision:?}");
}

#[tokio::test]
async fn a_failure_that_one_tenant_saw_ends_what_is_kept_for_the_others() {
    let setting = Setting::new().await;
    setting.attest(Outcome::Pass, 3600).await;
    let gate = setting.gate_of("nobody", &["team-a", "team-b"], Duration::from_secs(10));
    assert!(setting.decide(&gate, &["team-a"]).await.allowed);
    setting.attest(Outcome::Fail, 60).await;
    assert!(setting.decide(&gate, &["team-a"]).await.allowed, "for some minutes nothing newer is asked for");
    assert!(!setting.decide(&gate, &["team-b"]).await.allowed);
    assert!(!setting.decide(&gate, &["team-a"]).await.allowed);
}

/// The first look has seen the pass, and waits for a tenant's credential until the failure has been seen by another.
#[tokio::test]
async fn a_look_that_ends_later_and_saw_earlier_is_not_kept() {
    let setting = Setting::new().await;
    setting.attest(Outcome::Pass, 3600).await;
    let gate = setting.gate(&["slow"], Duration::from_secs(8));
    let newer = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        setting.attest(Outcome::Fail, 60).await;
        assert!(!setting.decide(&gate, &[]).await.allowed);
    };
    let (older, ()) = tokio::join!(setting.decide(&gate, &["slow"]), newer);
    assert!(older.allowed, "{older:?}");
    assert!(!setting.decide(&gate, &[]).await.allowed, "the pass is not kept");
    setting.go_away();
    assert!(!setting.decide(&gate, &[]).await.allowed, "nor remembered alone");
}

#[tokio::test]
async fn a_failure_of_an_index_that_was_seen_counts_when_the_registry_is_away() {
    let setting = Setting::new().await;
    setting.attest(Outcome::Pass, 3600).await;
    let index = setting.index().await;
    let first = setting.gate(&[], Duration::from_secs(10));
    let second = first.with_policies(setting.policy("23h")).unwrap();
    assert!(setting.decide_on(&index, &first, &[]).await.allowed, "nobody says anything of the index itself");
    setting.attest_of(&index, Outcome::Fail, 60).await;
    assert!(!setting.decide_on(&index, &second, &[]).await.allowed);
    setting.go_away();
    for gate in [first, second] {
        let decision = setting.decide_on(&index, &gate, &[]).await;
        assert!(!decision.allowed, "{decision:?}");
    }
}
