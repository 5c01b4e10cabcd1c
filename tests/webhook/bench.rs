//! Figures of the webhook: `cargo xtask bench webhook`. No assertion rests on a time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use portcullis_testkit::HttpServer;
use portcullis_tests::program;
use serde_json::{Value, json};

use crate::{
    gate::Replica,
    images::{Image, Keys, policy, registry},
    kubectl::pod,
    pki::Authority,
};

/// Admissions a second that are asked for, whatever the answers take.
const RATE: u32 = 500;
const ROUNDS: usize = 3;
/// Of a round; `PORTCULLIS_BENCH_SECONDS` says otherwise.
const SECONDS: u32 = 20;
/// Of the load under which memory is looked at; `PORTCULLIS_BENCH_LOAD_SECONDS` says otherwise.
const LOAD_SECONDS: u32 = 60;
/// Pods of one Deployment that come at once.
const REPLICAS: usize = 100;
/// Images that the long load asks for in turn, and how often it asks for one that is refused.
const IMAGES: usize = 20;
const REFUSED_EVERY: u32 = 50;

struct Bench {
    authority: Authority,
    image: Image,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

#[test]
#[ignore = "a benchmark: `cargo xtask bench webhook` runs it"]
fn figures() {
    let authority = Authority::new();
    let certificate = reqwest::Certificate::from_pem(authority.certificate.as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([certificate]).no_proxy().build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bench = Bench { authority, image: Image::signed("bench/app:v1"), http, runtime };
    println!("| what | figure |\n|---|---|");
    bench.known_digests();
    bench.new_digests();
    bench.starts();
    bench.many_policies();
    bench.long_load();
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

/// The value below which so many of a hundred lie.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)].as_secs_f64() * 1000.0
}

fn review(image: &str) -> Value {
    let mut object = pod("app", &[image]);
    object["metadata"]["namespace"] = "bench".into();
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"}, "namespace": "bench", "operation": "CREATE",
        "userInfo": {"username": "bench"}, "object": object, "oldObject": null, "dryRun": false}})
}

impl Bench {
    fn webhook(&self) -> Replica {
        Replica::signed_by(&self.authority, &policy(registry(), ""), registry(), &[])
    }

    fn floor(&self) -> Replica {
        let folder = tempfile::tempdir().unwrap();
        self.authority.server(&["127.0.0.1"]).write(folder.path(), "tls");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let arguments = [path("tls.crt"), path("tls.key")];
        let program = program("portcullis").with_file_name("examples").join("allow_all");
        Replica::run_program(&program, &arguments, folder)
    }

    /// Asks for one image for as long as a round takes.
    fn load(&self, webhook: &Replica, path: &str, image: &str) -> Vec<Duration> {
        let url = format!("https://{}{path}", webhook.address);
        let body: Arc<str> = review(image).to_string().into();
        self.runtime.block_on(ask(&self.http, &url, &body));
        self.steadily(&url, seconds("PORTCULLIS_BENCH_SECONDS", SECONDS), |_| (Arc::clone(&body), true))
    }

    /// Asks at a steady rate, and counts from the moment at which each was due: a queue is not left out. `review` gives
    /// the body of each by its number, and whether that is allowed.
    fn steadily(&self, url: &str, seconds: u32, review: impl Fn(u32) -> (Arc<str>, bool)) -> Vec<Duration> {
        self.runtime.block_on(async {
            let started = Instant::now() + Duration::from_millis(50);
            let mut asked = Vec::new();
            for number in 0..RATE * seconds {
                let due = started + Duration::from_secs(1) / RATE * number;
                tokio::time::sleep_until(due.into()).await;
                let (http, url, (body, is_allowed)) = (self.http.clone(), url.to_owned(), review(number));
                asked.push(tokio::spawn(async move {
                    answered(&http, &url, &body, is_allowed).await;
                    due.elapsed()
                }));
            }
            let mut took = Vec::new();
            for one in asked {
                took.push(one.await.unwrap());
            }
            took
        })
    }

    fn known_digests(&self) {
        let (webhook, floor) = (self.webhook(), self.floor());
        let cases = [
            ("allow-all webhook", &floor, "/validate"),
            ("validating", &webhook, "/validate"),
            ("mutating", &webhook, "/mutate"),
        ];
        let mut took: Vec<Vec<Duration>> = vec![Vec::new(); cases.len()];
        for _ in 0..ROUNDS {
            for (index, (_, replica, path)) in cases.iter().enumerate() {
                took[index].extend(self.load(replica, path, &self.image.pinned));
            }
        }
        took.iter_mut().for_each(|times| times.sort_unstable());
        let least = percentile(&took[0], 99);
        for ((name, ..), times) in cases.iter().zip(&took) {
            let [half, most, last] = [50, 99, 100].map(|percent| percentile(times, percent));
            row(
                &format!("{name}, known digest, {RATE}/s"),
                &format!("p50 {half:.2} ms, p99 {most:.2} ms ({:+.2} ms), max {last:.1} ms", most - least),
            );
        }
        row("memory after that", &format!("{:.1} MiB resident", resident(&webhook)));
    }

    /// Images that the webhook has not seen: by tag, each with two pieces of evidence.
    fn new_digests(&self) {
        let front = HttpServer::in_front_of(registry());
        let webhook = Replica::signed_by(&self.authority, &policy(front.address(), ""), front.address(), &[]);
        let images: Vec<Image> = (0..20).map(|number| signed_at(front.address(), &format!("new-{number}"))).collect();
        front.requests();
        let url = format!("https://{}/mutate", webhook.address);
        let mut took: Vec<Duration> = Vec::new();
        for image in &images {
            let started = Instant::now();
            self.runtime.block_on(ask(&self.http, &url, &review(&image.tagged).to_string()));
            took.push(started.elapsed());
        }
        took.sort_unstable();
        let asked = front.requests().len() as f64 / images.len() as f64;
        row(
            "new digest, by tag",
            &format!("median {:.1} ms, {asked:.1} requests of the registry", percentile(&took, 50)),
        );
        // By digest, as the Pods of a Deployment whose image was pinned: what each asks for alone is asked for once.
        let image = signed_at(front.address(), "replicas");
        front.requests();
        let (started, body) = (Instant::now(), review(&image.pinned).to_string());
        self.runtime.block_on(async {
            let mut asking = tokio::task::JoinSet::new();
            for _ in 0..REPLICAS {
                let (http, url, body) = (self.http.clone(), url.clone(), body.clone());
                asking.spawn(async move { ask(&http, &url, &body).await });
            }
            asking.join_all().await
        });
        let (last, asked) = (started.elapsed().as_secs_f64() * 1000.0, front.requests().len());
        row(
            &format!("{REPLICAS} Pods of one new digest at once"),
            &format!("the last after {last:.1} ms, {asked} requests of the registry in all"),
        );
    }

    fn starts(&self) {
        let mut took = Vec::new();
        for _ in 0..20 {
            let started = Instant::now();
            let webhook = self.webhook();
            let url = format!("https://{}/readyz", webhook.address);
            self.runtime.block_on(async {
                while !self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
            took.push(started.elapsed());
        }
        took.sort_unstable();
        let [half, last] = [50, 100].map(|percent| percentile(&took, percent));
        row("start to ready", &format!("median {half:.0} ms, max {last:.0} ms"));
    }

    /// A thousand policies, of which one speaks of the image.
    fn many_policies(&self) {
        let other = |number: usize| {
            let text = policy(registry(), "").replace("name: baseline", &format!("name: other-{number}"));
            text.replace(&format!("{}/**", registry()), &format!("registry-{number}.example/**"))
        };
        let folder = tempfile::tempdir().unwrap();
        for number in 1..1000 {
            std::fs::write(folder.path().join(format!("{number}.yaml")), other(number)).unwrap();
        }
        let more = format!("--policy={}", folder.path().display());
        let webhook = Replica::signed_by(&self.authority, &policy(registry(), ""), registry(), &[&more]);
        let mut took = self.load(&webhook, "/validate", &self.image.pinned);
        took.sort_unstable();
        let [half, most] = [50, 99].map(|percent| percentile(&took, percent));
        row("validating, 1,000 policies", &format!("p50 {half:.2} ms, p99 {most:.2} ms"));
        row("memory with them", &format!("{:.1} MiB resident", resident(&webhook)));
    }

    /// Images that are known, in turn, and one that is refused and so asked for again each time. What is kept ends after
    /// ten minutes, and is asked for anew.
    fn long_load(&self) {
        let webhook = self.webhook();
        let body = |image: &Image| -> Arc<str> { review(&image.pinned).to_string().into() };
        let known: Vec<Arc<str>> =
            (0..IMAGES).map(|number| body(&signed_at(registry(), &format!("long-{number}")))).collect();
        let refused = body(&Image::push("bench/refused:v1"));
        let (url, all) =
            (format!("https://{}/validate", webhook.address), seconds("PORTCULLIS_BENCH_LOAD_SECONDS", LOAD_SECONDS));
        known.iter().for_each(|body| self.runtime.block_on(ask(&self.http, &url, body)));
        // In short turns, so that what is measured is the webhook's memory and not this program's.
        let turn = (all / 10).clamp(1, 30);
        let (mut took, mut memory) = (Vec::new(), Vec::new());
        for _ in 0..(all / turn).max(1) {
            took.extend(self.steadily(&url, turn, |number| match number % REFUSED_EVERY {
                0 => (Arc::clone(&refused), false),
                _ => (Arc::clone(&known[number as usize % IMAGES]), true),
            }));
            memory.push(resident(&webhook));
        }
        took.sort_unstable();
        let [half, most] = [50, 99].map(|percent| percentile(&took, percent));
        row(&format!("{IMAGES} known digests and refusals, {all} s"), &format!("p50 {half:.2} ms, p99 {most:.2} ms"));
        let shown = [memory[0], memory[memory.len() / 2], memory[memory.len() - 1]].map(|mib| format!("{mib:.1}"));
        let most = memory.iter().copied().fold(0.0, f64::max);
        row("memory at its start, half and end", &format!("{} MiB resident, at most {most:.1}", shown.join(", ")));
    }
}

/// An image at a registry with the evidence that policies ask for.
fn signed_at(registry: std::net::SocketAddr, name: &str) -> Image {
    let image = Image::push_to(registry, &format!("bench/{name}:v1"), name);
    image.sign(Keys::trusted());
    image
}

/// What a variable says, else `default`.
fn seconds(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

async fn ask(http: &reqwest::Client, url: &str, body: &str) {
    answered(http, url, body, true).await;
}

async fn answered(http: &reqwest::Client, url: &str, body: &str, is_allowed: bool) {
    let request = http.post(url).header("content-type", "application/json").body(body.to_owned());
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["response"]["allowed"], is_allowed, "{answer}");
}

/// MiB of memory that a process has now.
fn resident(replica: &Replica) -> f64 {
    let path: PathBuf = Path::new("/proc").join(replica.id().to_string()).join("status");
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
