//! Certificates and their authority change, and both replicas are replaced one after the other, while Pods are created
//! all the time: with `failurePolicy: Fail`, and none is lost.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_tests::is_on;
use serde_json::json;

use crate::{
    certificates::{bundle, replica, secret, served_by},
    cluster::{Cluster, eventually},
    front::Front,
    gate::{Replica, shipped},
    images::Image,
    kubectl::{Namespace, pod},
    operation::Load,
    pki,
};

/// A third of that is left when it is renewed, and replicas look every three seconds.
const LIFETIME: &str = "24s";
const NAME: &str = "rotation";

/// Two replicas behind the address of a Service, which share a Secret.
struct Pair<'a> {
    cluster: &'a Cluster,
    front: Front,
    replicas: [Replica; 2],
}

impl<'a> Pair<'a> {
    fn new(namespace: &Namespace<'a>) -> Self {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "portcullis-webhook"},
            "spec": {"ports": [{"port": 443}]}});
        namespace.create(&service).ok();
        let address = namespace.field("service", "portcullis-webhook", "/spec/clusterIP");
        let front = Front::at(format!("{}:443", address.as_str().unwrap()).parse().unwrap());
        let cluster = namespace.cluster;
        let replicas = [replica(cluster, NAME, LIFETIME), replica(cluster, NAME, LIFETIME)];
        front.lead_to(&[replicas[0].address, replicas[1].address]);
        Self { cluster, front, replicas }
    }

    /// As when a Pod is deleted: it leaves the Service, is told to end, and another one comes.
    fn replace(&mut self, index: usize, load: &Load) {
        let Self { cluster, front, replicas } = self;
        front.lead_to(&[replicas[1 - index].address]);
        load.goes_on(10);
        replicas[index].signal("TERM");
        assert!(replicas[index].wait().success());
        replicas[index] = replica(cluster, NAME, LIFETIME);
        front.lead_to(&[replicas[0].address, replicas[1].address]);
        load.goes_on(20);
    }
}

/// The configurations that we ship, for one namespace, behind the Service; the webhook fills in the `caBundle`.
fn configure(namespace: &Namespace<'_>) {
    for mut configuration in shipped() {
        configuration["metadata"] = json!({"name": NAME});
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"]["service"]["namespace"] = NAME.into();
            webhook["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": NAME}});
        }
        let pods = &configuration["webhooks"][0];
        assert_eq!((&pods["failurePolicy"], &pods["clientConfig"]["caBundle"]), (&json!("Fail"), &json!(null)));
        namespace.create(&configuration).ok();
    }
}

/// Somebody's own authority, which ends soon, in front of the one that is there: so there has to be a third one.
fn bring_an_authority(namespace: &Namespace<'_>) {
    let pki::Pair { certificate, key } = pki::authority_that_ends_soon();
    let authorities = certificate + &secret(namespace, "ca.crt");
    let data = json!({"data": {"ca.crt": STANDARD.encode(authorities), "ca.key": STANDARD.encode(key)}});
    namespace.kubectl(&["patch", "secret", "tls", "--type=merge", "-p", &data.to_string()]).ok();
}

#[test]
fn no_review_is_lost_while_certificates_change_and_replicas_are_replaced() {
    let Some(cluster) = is_on().then(Cluster::shared).flatten() else { return };
    let namespace = Namespace::new(cluster, NAME);
    let image = Image::signed("rotation/app:v1");
    let mut pair = Pair::new(&namespace);
    configure(&namespace);
    let refused = || namespace.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod("probe", &["///"]));
    eventually("the webhook is called", || refused().stderr.contains("\"pin.portcullis.dev\" denied").then_some(()));
    let (first, one) = (secret(&namespace, "tls.crt"), bundle(&namespace));

    let load = Load::paced(cluster, NAME, &image.tagged);
    load.goes_on(20);
    pair.replace(0, &load);
    // A certificate by the same authority.
    let second = eventually("the certificate is renewed", || {
        let now = secret(&namespace, "tls.crt");
        (now != first).then_some(now)
    });
    bring_an_authority(&namespace);
    pair.replace(1, &load);
    let count = |bundle: &str| bundle.matches("BEGIN CERTIFICATE").count();
    let three = eventually("the configurations know of all authorities", || {
        let now = bundle(&namespace);
        (count(&now) == 3).then_some(now)
    });
    assert!(three.ends_with(&one) && count(&one) == 1, "{three}");
    // A certificate by the new one, served by all, and then asked for by connections that are new.
    eventually("the certificate is renewed again", || (secret(&namespace, "tls.crt") != second).then_some(()));
    let newest = three.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    for index in 0..2 {
        pair.replace(index, &load);
        served_by(&pair.replicas[index], newest);
    }
    let (answered, wrong) = load.end();
    assert!(wrong.is_empty(), "{} of {answered} were lost: {:?}", wrong.len(), wrong.first());
    assert!(answered >= 300, "{answered}");
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        cluster.kubectl(&["delete", kind, NAME]).ok();
    }
}
