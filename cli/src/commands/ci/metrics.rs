//! What the sensor measures of itself, in Prometheus' text format, for a node exporter's folder.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::{collections::BTreeMap, fmt::Write as _};

use super::results::Record;

/// How many of the last images the quantiles are of.
const WINDOW: usize = 1_000;

/// Counts and times since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    by_code: BTreeMap<u8, u64>,
    queue: Times,
    scan: Times,
}

#[derive(Default)]
struct Times {
    last: Vec<u64>,
    sum: u64,
    count: u64,
}

impl Times {
    fn add(&mut self, milliseconds: u64) {
        if self.last.len() == WINDOW {
            self.last.remove(0);
        }
        self.last.push(milliseconds);
        self.sum = self.sum.saturating_add(milliseconds);
        self.count += 1;
    }

    fn write(&self, text: &mut String, name: &str, help: &str) {
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        // Writing to a String cannot fail.
        _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} summary");
        for (quantile, percent) in [("0.5", 50), ("0.95", 95), ("1", 100)] {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            let value = sorted.get(index).copied().unwrap_or(0);
            _ = writeln!(text, "{name}{{quantile=\"{quantile}\"}} {}", seconds(value));
        }
        _ = writeln!(text, "{name}_sum {}\n{name}_count {}", seconds(self.sum), self.count);
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)
}

impl Metrics {
    pub(crate) fn add(&mut self, record: &Record) {
        *self.by_code.entry(record.exit_code).or_default() += 1;
        self.queue.add(record.queue_milliseconds);
        self.scan.add(record.scan_milliseconds);
    }

    pub(crate) fn text(&self, waiting: usize) -> String {
        let mut text = String::from(
            "# HELP portcullis_ci_images_total Images answered, by exit code.\n# TYPE portcullis_ci_images_total counter\n",
        );
        for (code, count) in &self.by_code {
            _ = writeln!(text, "portcullis_ci_images_total{{exit_code=\"{code}\"}} {count}");
        }
        _ = writeln!(
            text,
            "# HELP portcullis_ci_waiting Images that wait.\n# TYPE portcullis_ci_waiting gauge\nportcullis_ci_waiting {waiting}"
        );
        self.queue.write(&mut text, "portcullis_ci_queue_seconds", "From the tag to the start of the scan.");
        self.scan.write(&mut text, "portcullis_ci_scan_seconds", "From the start of the scan to its end.");
        text
    }
}

#[cfg(test)]
mod tests {
    use portcullis_model::Timestamp;

    use super::*;

    #[test]
    fn quantiles_are_of_what_was_measured() {
        let mut metrics = Metrics::default();
        for milliseconds in 1..=100 {
            let mut record = Record::new("sha256:00", "app", Timestamp::from_unix(0));
            record.queue_milliseconds = milliseconds;
            metrics.add(&record);
        }
        let text = metrics.text(3);
        for line in [
            "portcullis_ci_images_total{exit_code=\"44\"} 100",
            "portcullis_ci_waiting 3",
            "portcullis_ci_queue_seconds{quantile=\"0.5\"} 0.050",
            "portcullis_ci_queue_seconds{quantile=\"0.95\"} 0.095",
            "portcullis_ci_queue_seconds{quantile=\"1\"} 0.100",
            "portcullis_ci_queue_seconds_sum 5.050",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }
}
