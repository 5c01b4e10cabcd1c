//! The protocol: what is no review, limits, reloading, and the end of the process.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::{
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use portcullis_attest::SigningKey;
use portcullis_embedded_registry::{EmbeddedRegistry, Handle, Options};
use serde_json::{Value, json};
use support::{Attested, Webhook, attested, is_allowed, pod, policy, review};

fn registry() -> (Handle, SocketAddr, SigningKey) {
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let at = registry.address();
    (registry, at, SigningKey::generate().unwrap())
}

#[tokio::test]
async fn what_is_no_review_is_an_error_and_never_a_pass() {
    let (_registry, at, key) = registry();
    let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &["--unmatched", "allow"]);
    let good = review("CREATE", &pod(&["registry.example/unmatched:v1"]), None);
    assert!(is_allowed(&webhook.ask("/mutate", &good).await), "what the broken ones are made from is let in");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut broken = good.clone();
        change(&mut broken);
        broken.to_string()
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
        "[1]".to_owned(),
        "not json".to_owned(),
        deep,
        with(&|review| review["apiVersion"] = "admission.k8s.io/v1beta1".into()),
        with(&|review| review["kind"] = "Pod".into()),
        with(&|review| review["request"] = Value::Null),
        with(&|review| review["request"]["uid"] = "".into()),
        with(&|review| review["request"]["uid"] = 7.into()),
        with(&|review| review["request"]["namespace"] = json!([])),
    ] {
        for path in ["/mutate", "/validate"] {
            let (status, answer) = webhook.post(path, body.clone()).await;
            assert_eq!(status, 400, "{body}: {answer}");
            assert!(!answer.contains("allowed"), "{answer}");
        }
    }
    // A review that can be answered, about something that cannot be judged.
    for change in [
        &(|review: &mut Value| review["request"]["object"] = Value::Null) as &dyn Fn(&mut Value),
        &|review| review["request"]["object"]["spec"] = Value::Null,
        &|review| review["request"]["object"]["spec"]["containers"] = json!({"0": {"image": "a"}}),
        &|review| review["request"]["object"]["spec"]["containers"][0]["image"] = json!({"a": 1}),
        &|review| review["request"]["operation"] = "CONNECT".into(),
        &|review| review["request"]["operation"] = Value::String(String::new()),
        &|review| review["request"]["kind"]["kind"] = "ConfigMap".into(),
        &|review| review["request"]["object"]["kind"] = "ConfigMap".into(),
        &|review| {
            review["request"]["kind"] = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
            review["request"]["object"] = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {}});
        },
    ] {
        let mut broken = good.clone();
        change(&mut broken);
        let response = webhook.ask("/validate", &broken).await;
        assert!(!is_allowed(&response), "{broken}");
        assert_eq!(response["status"]["code"], 400, "{response}");
    }
    let unnamed = review("CREATE", &pod(&[""]), None);
    assert!(is_allowed(&webhook.ask("/mutate", &unnamed).await), "another webhook may fill it in");
    assert!(!is_allowed(&webhook.ask("/validate", &unnamed).await));
}

#[tokio::test]
async fn paths_methods_and_sizes() {
    let (_registry, at, key) = registry();
    let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &["--unmatched", "allow"]);
    for path in ["/", "/mutate/x", "/MUTATE", "/admit"] {
        assert_eq!(webhook.post(path, "{}").await.0, 404, "{path}");
    }
    assert_eq!(webhook.get("/mutate").await.0, 405);
    for (path, text) in [("/healthz", "ok"), ("/readyz", "ok"), ("/metrics", "portcullis_webhook_policies 1\n")] {
        let (status, body) = webhook.get(path).await;
        assert!(status == 200 && body.contains(text), "{path}: {body}");
    }
    // Two objects of the API server's limit fit in; more does not.
    let mut large = review("UPDATE", &pod(&["registry.example/unmatched:v1"]), None);
    large["request"]["object"]["metadata"]["annotations"] = json!({"a": "x".repeat(7 << 20)});
    assert!(is_allowed(&webhook.ask("/validate", &large).await));
    large["request"]["object"]["metadata"]["annotations"] = json!({"a": "x".repeat(9 << 20)});
    assert_eq!(webhook.post("/validate", large.to_string()).await.0, 413);
}

#[tokio::test]
async fn a_bad_policy_never_replaces_one_that_works() {
    let (_registry, at, key) = registry();
    let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &[]);
    let (image, _) = attested(at, "app:v1", &key, Attested::default()).await;
    let pod = pod(&[&image]);
    assert!(is_allowed(&webhook.mutate(&pod).await));
    let file = webhook.folder.path().join("policy.yaml");
    for bad in ["", "spec: {}", "not: [yaml", &policy("baseline", at, &key, "  failon: high\n")] {
        std::fs::write(&file, bad).unwrap();
        webhook.signal("HUP");
        webhook.wait_for("what worked goes on");
        assert!(is_allowed(&webhook.mutate(&pod).await), "{bad}");
    }
    let other = SigningKey::generate().unwrap();
    std::fs::write(&file, policy("stricter", at, &other, "")).unwrap();
    webhook.signal("HUP");
    webhook.wait_for("policies were read again");
    let response = webhook.mutate(&pod).await;
    assert!(!is_allowed(&response), "what another key vouched for is not remembered: {response}");
    let (_, metrics) = webhook.get("/metrics").await;
    assert!(metrics.contains("reloads_total{result=\"error\"} 4"), "{metrics}");
}

#[tokio::test]
async fn the_end_cuts_nobody_off() {
    let (_registry, _, key) = registry();
    // A registry that takes the connection and says nothing: the review is under way when the signal comes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap();
    let mut webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &["--timeout", "2s"]);
    let object = pod(&[&format!("{at}/app:v1")]);
    let asking = webhook.mutate(&object);
    let ending = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        webhook.signal("TERM");
    };
    let (response, ()) = tokio::join!(asking, ending);
    assert!(!is_allowed(&response), "{response}");
    webhook.wait_for("\"ended\"");
    let status = webhook.wait();
    assert!(status.success() && status.signal().is_none(), "{status}");
}

#[test]
fn what_keeps_it_from_starting_is_told_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: a}\nspek: {}\n")
        .unwrap();
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_portcullis-webhook");
        let output = std::process::Command::new(program).env_clear().args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap(), output.stdout)
    };
    let (code, stderr, stdout) = run(&["--policy", file.to_str().unwrap()]);
    assert_eq!((code, stdout), (Some(1), Vec::new()), "{stderr}");
    assert!(stderr.contains("policy.yaml:4: unknown field `spek`\nhint: did you mean `spec`?"), "{stderr}");
    let (code, stderr, _) = run(&["--policy", "/nowhere"]);
    assert!(code == Some(1) && stderr.contains("cannot read /nowhere"), "{stderr}");
    assert_eq!(run(&[]).0, Some(2));
}

/// Else it would start, and know nothing of any image.
#[test]
fn a_machine_that_trusts_no_authority_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (policy, none) = (folder.path().join("policy.yaml"), folder.path().join("none.pem"));
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: a}\nspec:\n  \
                vulnerabilities: {failOn: high}\n";
    std::fs::write(&policy, text).unwrap();
    std::fs::write(&none, "").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
    command.env_clear().env("SSL_CERT_FILE", &none).arg("--policy").arg(&policy);
    // It does not get as far as that.
    let output = command.args(["--ca-out", "/nowhere/ca.pem"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("cannot set up the registry client: TLS"), "{stderr}");
}

#[test]
fn flags_can_be_set_by_the_environment() {
    let program = env!("CARGO_BIN_EXE_portcullis-webhook");
    let run = |name: &str, value: &str| {
        let mut command = std::process::Command::new(program);
        command.env_clear().env("PORTCULLIS_POLICY", "/nowhere/a,/nowhere/b").env(name, value);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (name, value) in [
        ("PORTCULLIS_ENFORCE_WORKLOADS", "1"),
        ("PORTCULLIS_PUBLIC_REGISTRIES_ONLY", "false"),
        ("PORTCULLIS_UNMATCHED", "allow"),
        ("PORTCULLIS_WEBHOOK_TIMEOUT", "5s"),
    ] {
        let (code, stderr) = run(name, value);
        assert!(code == Some(1) && stderr.contains("cannot read /nowhere/a"), "{name}: {stderr}");
    }
    for (name, value) in
        [("PORTCULLIS_UNMATCHED", "maybe"), ("PORTCULLIS_MAX_REVIEWS", "0"), ("PORTCULLIS_WEBHOOK_TIMEOUT", "5")]
    {
        assert_eq!(run(name, value).0, Some(2), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_reviews_at_once_wait_for_their_turn_and_are_all_answered() {
    let (_registry, at, key) = registry();
    let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &["--max-reviews", "2"]);
    let (image, _) = attested(at, "app:v1", &key, Attested::default()).await;
    let object = pod(&[&image]);
    let reviews = async {
        for response in futures_util::future::join_all((0..41).map(|_| webhook.mutate(&object))).await {
            assert!(is_allowed(&response), "{response}");
        }
    };
    let mut reviews = std::pin::pin!(reviews);
    loop {
        tokio::select! {
            () = &mut reviews => break,
            (_, metrics) = webhook.get("/metrics") => {
                let in_flight = metrics.lines().find_map(|line| line.strip_prefix("portcullis_webhook_reviews_in_flight "));
                assert!(in_flight.unwrap().parse::<u32>().unwrap() <= 2, "{metrics}");
            }
        }
    }
    let (_, metrics) = webhook.get("/metrics").await;
    assert!(metrics.contains("reviews_total{result=\"allow\"} 41"), "{metrics}");
    assert!(metrics.contains("reviews_in_flight 0"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_come_keep_nobody_waiting_for_long() {
    let (_registry, at, key) = registry();
    let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &["--unmatched", "allow"]);
    let object = pod(&["registry.example/unmatched:v1"]);
    let given_up = AtomicUsize::new(0);
    // Of a length that is not told: more of these than the budget holds, and than there may be reviews.
    let stalled = (0..80).map(async |_| {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>("{")]);
        let body = futures_util::StreamExt::chain(first, futures_util::stream::pending());
        let answer = webhook.post("/validate", reqwest::Body::wrap_stream(body)).await;
        given_up.fetch_add(1, Ordering::SeqCst);
        answer
    });
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        (webhook.validate(&object).await, given_up.load(Ordering::SeqCst))
    };
    let (stalled, (response, given_up)) = tokio::join!(futures_util::future::join_all(stalled), late);
    assert!(is_allowed(&response), "{response}");
    // They give up in threes at most, each time after as long as a body may take.
    assert!(given_up < 6, "it has waited for {given_up} of them");
    for (status, body) in stalled {
        // That it does not come, or that it was not its turn in time.
        assert!(matches!(status, 408 | 503), "{status}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_bodies_at_once_are_answered_and_not_held_together() {
    let (_registry, at, key) = registry();
    let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &["--unmatched", "allow", "--timeout", "60s"]);
    let mut large = review("UPDATE", &pod(&["registry.example/unmatched:v1"]), None);
    large["request"]["object"]["metadata"]["annotations"] = json!({"a": "x".repeat(7 << 20)});
    let large = bytes::Bytes::from(large.to_string());
    let before = webhook.peak_memory();
    let paths = ["/mutate", "/validate", "/policies"];
    let posts = (0..48).map(|number| webhook.post(paths[number % 3], large.clone()));
    for (status, body) in futures_util::future::join_all(posts).await {
        assert_eq!(status, 200, "{body}");
    }
    // Two bodies at a time, each as bytes, as an object and as the answer is made from it; not 336 MiB of bytes alone.
    let held = webhook.peak_memory() - before;
    assert!(held < 160 << 10, "{held} KiB for 48 bodies of 7 MiB");
    let (_, metrics) = webhook.get("/metrics").await;
    assert!(metrics.contains("reviews_in_flight 0"), "{metrics}");
}
