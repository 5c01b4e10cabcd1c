//! Counters, as Prometheus reads them.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{cluster::Counts, traces::Spans};

/// Upper ends of the buckets, in milliseconds.
const BUCKETS: [u64; 8] = [5, 25, 100, 250, 1000, 2500, 5000, 10_000];

/// What became of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Result {
    Allowed,
    Denied,
    /// No review, too large, or no answer in time.
    Error,
}

/// All counters of the process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    allowed: AtomicU64,
    denied: AtomicU64,
    errors: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    microseconds: AtomicU64,
    /// Reviews that an exemption let in.
    pub(crate) exempted: AtomicU64,
    /// What the last whole look at running Pods has found, and when; none where another replica looks.
    running: Mutex<Option<(Counts, u64)>>,
    pub(crate) reloads: AtomicU64,
    pub(crate) failed_reloads: AtomicU64,
    /// Where traces are sent.
    spans: Option<Arc<Spans>>,
}

impl Metrics {
    /// With what becomes of spans, where traces are sent.
    pub(crate) fn with(spans: Option<Arc<Spans>>) -> Self {
        Self { spans, ..Self::default() }
    }

    pub(crate) fn review(&self, result: Result, took: Duration) {
        let counter = match result {
            Result::Allowed => &self.allowed,
            Result::Denied => &self.denied,
            Result::Error => &self.errors,
        };
        add(counter);
        add(&self.count);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
        for (end, bucket) in BUCKETS.iter().zip(&self.buckets) {
            if microseconds <= end * 1000 {
                add(bucket);
            }
        }
    }

    /// What a whole look at running Pods has found at a moment, in seconds of Unix time; none where nothing is known.
    pub(crate) fn running(&self, found: Option<(Counts, u64)>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// The text of `/metrics`.
    pub(crate) fn text(&self, policies: usize, in_flight: usize) -> String {
        let Self {
            allowed,
            denied,
            errors,
            buckets: _,
            count: _,
            microseconds: _,
            exempted,
            running,
            reloads,
            failed_reloads,
            spans,
        } = self;
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, String)]| {
            // Writing to a String cannot fail.
            _ = writeln!(text, "# HELP portcullis_webhook_{name} {help}\n# TYPE portcullis_webhook_{name} {kind}");
            for (rest, value) in samples {
                _ = writeln!(text, "portcullis_webhook_{name}{rest} {value}");
            }
        };
        let reviews = [
            ("{result=\"allow\"}", read(allowed)),
            ("{result=\"deny\"}", read(denied)),
            ("{result=\"error\"}", read(errors)),
        ];
        family("reviews_total", "counter", "Reviews by what became of them.", &reviews);
        let durations = self.durations();
        let durations: Vec<(&str, String)> =
            durations.iter().map(|(rest, value)| (rest.as_str(), value.clone())).collect();
        family("review_duration_seconds", "histogram", "How long reviews took.", &durations);
        let loads = [("{result=\"ok\"}", read(reloads)), ("{result=\"error\"}", read(failed_reloads))];
        family("reloads_total", "counter", "Times that policies or the certificate were read again.", &loads);
        if let Some((Counts { pass, fail, unknown }, at)) = *running.lock().unwrap_or_else(PoisonError::into_inner) {
            let counts = [("{result=\"pass\"}", pass), ("{result=\"fail\"}", fail), ("{result=\"unknown\"}", unknown)];
            let pods = counts.map(|(name, count)| (name, count.to_string()));
            family("running_pods", "gauge", "Running Pods by what would become of them now.", &pods);
            let help = "When all running Pods were last looked at.";
            family("running_pods_seen_timestamp_seconds", "gauge", help, &[("", at.to_string())]);
        }
        if let Some(spans) = spans {
            let samples = [("{result=\"sent\"}", read(&spans.sent)), ("{result=\"lost\"}", read(&spans.lost))];
            family("spans_total", "counter", "Spans by whether the collector took them.", &samples);
        }
        family("exempted_total", "counter", "Reviews that an exemption let in.", &[("", read(exempted))]);
        family("policies", "gauge", "Policies that are asked.", &[("", policies.to_string())]);
        family(
            "reviews_in_flight",
            "gauge",
            "Looks at registries under way, for reviews.",
            &[("", in_flight.to_string())],
        );
        text
    }

    /// How long reviews took, by what stands behind the name.
    fn durations(&self) -> Vec<(String, String)> {
        let bucket = |end: &u64| format!("_bucket{{le=\"{}\"}}", *end as f64 / 1000.0);
        let mut all: Vec<(String, String)> = BUCKETS.iter().map(bucket).zip(self.buckets.iter().map(read)).collect();
        all.push(("_bucket{le=\"+Inf\"}".to_owned(), read(&self.count)));
        all.push(("_sum".to_owned(), format!("{:.6}", self.microseconds.load(Ordering::Relaxed) as f64 / 1e6)));
        all.push(("_count".to_owned(), read(&self.count)));
        all
    }
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> String {
    counter.load(Ordering::Relaxed).to_string()
}
