//! Private registries on the real API server: the pull secrets of Pods and of service accounts open them, for those who
//! have them and for nobody else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use portcullis_embedded_registry::{EmbeddedRegistry, Options};
use portcullis_tests::{portcullis, run};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, eventually},
    gate::{Configured, Replica},
    images::{Image, Keys, file, policy},
    kubectl::{Namespace, pod},
};

const USER: &str = "team";
const PASSWORD: &str = "not-for-others";

/// An image at a registry that asks for a password, with evidence.
fn private_image(at: std::net::SocketAddr) -> Image {
    use portcullis_registry::{Client, Credentials, PlainHttp, Reference, media_type};
    let built = portcullis_testkit::ImageBuilder::debian(12).package("base-files", "12.4+deb12u5").build();
    let reference: Reference = format!("{at}/private/app:v1").parse().unwrap();
    let options = portcullis_registry::Options { plain_http: PlainHttp::Always, ..Default::default() };
    let config = json!({"auths": auths(at, PASSWORD)}).to_string();
    let client = Client::new(options, Credentials::from_docker_config(&config).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let digest = built.digest();
    runtime.block_on(async {
        for blob in built.layers.into_iter().map(|layer| layer.bytes).chain([built.config]) {
            client.push_blob(&reference, Bytes::from(blob)).await.unwrap();
        }
        client.push_manifest(&reference, Bytes::from(built.manifest), media_type::OCI_MANIFEST).await.unwrap();
    });
    let (tagged, pinned) = (format!("{at}/private/app:v1"), format!("{at}/private/app@{digest}"));
    let mut scan = portcullis();
    scan.env_remove("SOURCE_DATE_EPOCH").env("COSIGN_PASSWORD", "test").env("PORTCULLIS_NO_CACHE", "true");
    scan.env("PORTCULLIS_REGISTRY", at.to_string()).env("PORTCULLIS_REGISTRY_USERNAME", USER);
    scan.env("PORTCULLIS_REGISTRY_PASSWORD", PASSWORD);
    scan.args(["scan", &tagged, "--plain-http", "--attest", "-q", "--key"]).arg(Keys::trusted().private());
    run(&mut scan, &[0]);
    Image { tagged, pinned }
}

fn auths(at: std::net::SocketAddr, password: &str) -> Value {
    json!({at.to_string(): {"auth": STANDARD.encode(format!("{USER}:{password}"))}})
}

fn secret(name: &str, kind: &str, at: std::net::SocketAddr, password: &str) -> Value {
    let auths = auths(at, password);
    let (key, text) = match kind {
        "kubernetes.io/dockercfg" => (".dockercfg", auths),
        _ => (".dockerconfigjson", json!({"auths": auths})),
    };
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind,
        "data": {key: STANDARD.encode(text.to_string())}})
}

#[test]
fn pull_secrets_open_a_registry_for_those_who_have_them() {
    let Some(cluster) = portcullis_tests::is_on().then(Cluster::shared).flatten() else { return };
    let credentials = Some((USER.to_owned(), PASSWORD.to_owned()));
    let registry = EmbeddedRegistry::start(Options { credentials, ..Options::default() }).unwrap();
    let at = registry.address();
    let image = private_image(at);
    let [team, other] = ["credentials-team", "credentials-other"].map(|name| Namespace::new(cluster, name));

    // An account that may read secrets and service accounts where it was told to, and nothing else.
    cluster.kubectl(&["create", "serviceaccount", "webhook", "-n", team.name]).ok();
    for namespace in [team, other] {
        let role = ["create", "role", "pull-secrets", "-n", namespace.name, "--verb=get"];
        cluster.kubectl(&[&role[..], &["--resource=secrets,serviceaccounts"]].concat()).ok();
        let bind = ["create", "rolebinding", "pull-secrets", "-n", namespace.name, "--role=pull-secrets"];
        cluster.kubectl(&[&bind[..], &["--serviceaccount=credentials-team:webhook"]].concat()).ok();
    }
    let token = team.kubectl(&["create", "token", "webhook", "--duration=1h"]).ok();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: \"{}\", certificate-authority-data: \"{}\"}}}}]\n\
         users: [{{name: webhook, user: {{token: \"{}\"}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: webhook}}}}]\n",
        cluster.url(),
        STANDARD.encode(&cluster.authority.certificate),
        token.trim(),
    );
    let kubeconfig = file(folder.path(), "kubeconfig", &config);
    let flags = ["--pull-secrets".to_owned(), format!("--kubeconfig={}", kubeconfig.display())];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let webhook = Replica::start(cluster, &policy(at, ""), at, &flags);
    let _configured = [Configured::new(team, webhook.address), Configured::new(other, webhook.address)];

    let with = |image: &str, secret: &str| {
        let mut pod = pod("app", &[image]);
        pod["spec"]["imagePullSecrets"] = json!([{"name": secret}]);
        pod
    };
    let create = |namespace: &Namespace<'_>, pod: &Value| {
        namespace.kubectl_with(&["create", "--dry-run=server", "-f", "-"], pod)
    };
    create(&team, &pod("app", &[&image.tagged])).refused("access is refused (401");
    create(&team, &with(&image.tagged, "missing")).refused("access is refused (401");
    team.create(&secret("wrong", "kubernetes.io/dockerconfigjson", at, "wrong")).ok();
    create(&team, &with(&image.tagged, "wrong")).refused("access is refused (401");
    team.create(&secret("good", "kubernetes.io/dockerconfigjson", at, PASSWORD)).ok();
    create(&team, &with(&image.tagged, "good")).ok();
    team.create(&secret("older", "kubernetes.io/dockercfg", at, PASSWORD)).ok();
    create(&team, &with(&image.tagged, "older")).ok();

    // What they opened is remembered, and does not open it for others: not by digest either.
    create(&other, &pod("app", &[&image.pinned])).refused("access is refused (401");
    other.create(&secret("good", "kubernetes.io/dockerconfigjson", at, "wrong")).ok();
    create(&other, &with(&image.pinned, "good")).refused("access is refused (401");
    create(&team, &with(&image.pinned, "good")).ok();

    // Those of the service account, for a template that names none; Pods get them from the API server itself.
    let template = crate::kubectl::deployment("app", 1, &[&image.tagged]);
    let told = create(&team, &template);
    assert!(told.stderr.contains("access is refused (401"), "{told:?}");
    let patch = json!({"imagePullSecrets": [{"name": "good"}]}).to_string();
    team.kubectl(&["patch", "serviceaccount", "default", "-p", &patch]).ok();
    // It is kept for half a minute.
    eventually("the account's secrets are seen", || {
        let told = create(&team, &template);
        (told.is_ok() && !told.stderr.contains("Warning")).then_some(())
    });
    create(&team, &pod("app", &[&image.tagged])).ok();
    assert!(!webhook.log().contains(PASSWORD));
}
