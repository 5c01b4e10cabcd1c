//! `portcullis ci watch`: the sensor on a pipeline's worker. It scans what is tagged for it, once, leaves the result where
//! the job waits, and takes the tag off as the sign that it is done.
//!
//! The tag is the request: it lies in the engine, so nothing is lost when the sensor, the engine or the machine goes
//! down. The record is the answer: an image with a record for its tags is not scanned again. Nothing else of the host is
//! touched.

use std::{
    ffi::OsString,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use portcullis_errors::{chain, printable};
use portcullis_image::{EngineImage, EngineImages, EngineKind, ImageError, Untagged};
use portcullis_model::{Digest, Report};
use portcullis_policy::ExitStatus;

use super::{
    metrics::Metrics,
    pattern::Pattern,
    queue::{Job, Queue},
    results::{Record, Results},
    scan::{Scanned, flags, scan},
};
use crate::{
    args::WatchArgs,
    diagnostics::{Failure, Outcome, say},
    settings,
};

/// How often the images are listed even if nothing is heard of them.
const TICK: Duration = Duration::from_secs(5);
/// How long results are kept.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// How often old ones are looked for.
const HOUR: Duration = Duration::from_secs(3_600);
/// How often a scan that failed is tried.
const ATTEMPTS: u32 = 3;
/// Between two attempts, and between two looks at an engine that is not there.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two attempts to write a result: a full disk does not empty itself in a moment.
const FULL: Duration = Duration::from_secs(2);

pub(super) fn run(args: &WatchArgs) -> Outcome {
    let WatchArgs { place, workers, deadline, keep_tag, once, scan } = args;
    let patterns = super::patterns(place)?;
    let results = Results::at(place.results.clone());
    // Held until the end.
    let _lock = results.lock()?;
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = workers.map_or(cores, usize::from);
    let sensor = Sensor {
        kind: place.engine.into(),
        patterns,
        results,
        queue: Queue::default(),
        metrics: Mutex::new(Metrics::default()),
        flags: flags(scan, (cores / workers).max(1)),
        deadline: *deadline,
        keep_tag: *keep_tag,
        is_once: *once,
        failed: AtomicUsize::new(0),
    };
    // A database or a policy that cannot be read is said now, not once for each image.
    settings::database(scan.judge.db.as_ref())?;
    if let Some(path) = &scan.judge.policy {
        settings::policies(path, settings::now()?)?;
    }
    // Each thread has its own connection. Without one it would end, and nobody would know.
    let connections = (0..workers).map(|_| sensor.images()).collect::<Result<Vec<_>, _>>()?;
    let (looking, listening) = (sensor.images()?, sensor.images()?);
    say(&format!("watching {} with {workers} workers", sensor.kind.name()));
    thread::scope(|scope| {
        for images in connections {
            scope.spawn(|| sensor.work(images));
        }
        let watched = sensor.watch(scope, &looking, listening);
        sensor.queue.close();
        watched
    })?;
    Ok(if sensor.failed.load(Ordering::Relaxed) == 0 { ExitStatus::Pass } else { ExitStatus::Error })
}

struct Sensor {
    kind: EngineKind,
    patterns: Vec<Pattern>,
    results: Results,
    queue: Queue,
    metrics: Mutex<Metrics>,
    flags: Vec<OsString>,
    deadline: Duration,
    keep_tag: bool,
    is_once: bool,
    /// Results that could not be written.
    failed: AtomicUsize,
}

impl Sensor {
    /// A connection to the engine.
    fn images(&self) -> Result<EngineImages, ImageError> {
        EngineImages::find(self.kind)
    }

    /// Lists what asks for a scan whenever the engine says that an image has changed.
    fn watch<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        images: &EngineImages,
        listening: EngineImages,
    ) -> Result<(), Failure> {
        if self.is_once {
            self.look(images, Instant::now())?;
            return Ok(());
        }
        let (sender, receiver) = mpsc::channel();
        scope.spawn(move || Self::listen(&listening, &sender));
        let mut is_silent = false;
        let mut pruned = Instant::now();
        self.results.prune(KEPT);
        while let Ok(seen) = receiver.recv() {
            if pruned.elapsed() > HOUR {
                self.results.prune(KEPT);
                pruned = Instant::now();
            }
            // One list answers for all that has happened until now.
            let seen = receiver.try_iter().fold(seen, Instant::min);
            match self.look(images, seen) {
                Ok(()) => is_silent = false,
                Err(error) if !is_silent => {
                    say(&format!("warning: {}; it is asked again until it answers", printable(&chain(&error), 1_000)));
                    is_silent = true;
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Passes on the moments at which something happened. It comes back to an engine that went away.
    fn listen(images: &EngineImages, sender: &mpsc::Sender<Instant>) {
        loop {
            let began = Instant::now();
            let heard = images.watch(TICK, &mut || sender.send(Instant::now()).is_ok());
            if sender.send(Instant::now()).is_err() {
                return;
            }
            if heard.is_err() || began.elapsed() < PAUSE {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Looks at every image, whatever one of them is like; the first error is told at the end.
    fn look(&self, images: &EngineImages, seen: Instant) -> Result<(), ImageError> {
        let mut outcome = Ok(());
        for image in images.list()? {
            // What waits, or a worker has in its hands, is left to it; the next look sees what came since.
            if !self.queue.claim(&image.id) {
                continue;
            }
            let asking = self.unanswered(images, &image);
            self.queue.done(&image.id);
            match asking {
                Ok(tags) if tags.is_empty() => {}
                Ok(tags) => drop(self.queue.offer(Job { id: image.id, seen, tags })),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// The tags of an image that ask, and that no record answers. The list may be older than the last answer: so an image
    /// that asks by it is looked at once more, now that no worker has it.
    fn unanswered(&self, images: &EngineImages, listed: &EngineImage) -> Result<Vec<String>, ImageError> {
        let mut asking = self.asking(listed);
        if !asking.is_empty() {
            asking = match images.inspect(&listed.id) {
                Ok(image) => image.map(|image| self.asking(&image)).unwrap_or_default(),
                Err(error @ ImageError::Silent { .. }) => return Err(error),
                // What the engine cannot say more of is answered, too: with why.
                Err(_) => asking,
            };
        }
        let record = self.results.record(&listed.id);
        let is_answered = record.is_some_and(|record| self.is_answered(images, record, &asking));
        Ok(if is_answered { Vec::new() } else { asking })
    }

    /// Whether a record answers all that asks. What was answered before its tag could be taken off loses it now; a tag
    /// that somebody took off may ask again one day.
    fn is_answered(&self, images: &EngineImages, mut record: Record, asking: &[String]) -> bool {
        let left = record.tags_left.len();
        record.tags_left.retain(|tag| asking.contains(tag));
        if !asking.iter().all(|tag| record.tags_left.contains(tag)) {
            return false;
        }
        if !asking.is_empty() && !self.keep_tag && !record.is_last {
            self.settle(images, &mut record);
        } else if record.tags_left.len() < left {
            // If it cannot be noted, the next look does it.
            drop(self.results.write(&record, None));
        }
        true
    }

    /// The tags of an image that ask for a scan.
    fn asking(&self, image: &EngineImage) -> Vec<String> {
        let is_meant = |tag: &&String| self.patterns.iter().any(|pattern| pattern.matches(tag));
        image.tags.iter().filter(is_meant).cloned().collect()
    }

    fn work(&self, images: EngineImages) {
        while let Some(job) = self.queue.take(&|id| self.results.is_awaited(id)) {
            self.answer(&images, &job);
            self.queue.done(&job.id);
        }
    }

    /// Scans an image, writes its result, takes its tag off.
    fn answer(&self, images: &EngineImages, job: &Job) {
        let queued = job.seen.elapsed();
        let started = Instant::now();
        let (name, outcome) = self.scanned(images, &job.id);
        let clock = settings::clock();
        let mut record = Record::new(&job.id, &name, clock);
        record.queue_milliseconds = milliseconds(queued);
        record.scan_milliseconds = milliseconds(started.elapsed());
        let report = match outcome {
            Ok((report, bytes)) => {
                record.exit_code = ExitStatus::from(&report.verdict).code();
                record.report = Some(Digest::of(&bytes));
                Some(bytes)
            }
            Err(message) => {
                record.message = Some(message);
                None
            }
        };
        // All that ask by now are answered by this. An engine that is away cannot say; then it is those that asked before.
        record.tags_left = match images.inspect(&job.id) {
            Ok(image) => image.map(|image| self.asking(&image)).unwrap_or_default(),
            Err(_) => job.tags.clone(),
        };
        if !self.keep(&record, report.as_deref()) {
            return;
        }
        self.tell(&record);
        if !self.keep_tag {
            self.settle(images, &mut record);
        }
    }

    /// The name of an image, and its report; or why there is none.
    fn scanned(&self, images: &EngineImages, id: &str) -> (String, Result<(Report, Vec<u8>), String>) {
        let until = Instant::now() + self.deadline;
        let mut name = id.to_owned();
        let mut why = String::new();
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match images.inspect(id) {
                Ok(Some(image)) => name = self.name_of(&image).unwrap_or_else(|| id.to_owned()),
                Ok(None) => return (name, Err("the image is gone".to_owned())),
                Err(error) => {
                    why = chain(&error);
                    thread::sleep(PAUSE.min(left));
                    // An engine that restarts does not use up the attempts.
                    attempts += u32::from(!matches!(error, ImageError::Silent { .. }));
                    continue;
                }
            }
            // By its name, for which a policy may have been written: an id would be called by any of its tags. A name may
            // point elsewhere by the time it is read: the id tells.
            match scan(&images.target(&name), &self.flags, left) {
                Scanned::Report(report, bytes) if is_of(&report, id) => return (name, Ok((*report, bytes))),
                Scanned::Report(..) => why = "its name was given to another image".to_owned(),
                Scanned::TimedOut => break,
                Scanned::Failed(message) => {
                    why = message;
                    // An engine that is going away may still answer by a connection that was opened before. Where it is
                    // away, the scan says nothing of the image.
                    let answers = |new: EngineImages| !matches!(new.inspect(id), Err(ImageError::Silent { .. }));
                    attempts += u32::from(self.images().is_ok_and(answers));
                    thread::sleep(PAUSE.min(left));
                    continue;
                }
            }
            attempts += 1;
        }
        if Instant::now() >= until {
            why =
                format!("not done within {} s: {why}", self.deadline.as_secs()).trim_end_matches([':', ' ']).to_owned();
        }
        (name, Err(why))
    }

    /// A name that is not one of the sensor's own.
    fn name_of(&self, image: &EngineImage) -> Option<String> {
        let is_own = |tag: &str| self.patterns.iter().any(|pattern| pattern.matches(tag));
        image.tags.iter().find(|tag| !is_own(tag)).cloned()
    }

    /// Writes a result; on a full disk, as soon as there is room. Until then the tag stays, and nothing is lost.
    fn keep(&self, record: &Record, report: Option<&[u8]>) -> bool {
        let mut is_told = false;
        loop {
            match self.results.write(record, report) {
                Ok(()) => return true,
                Err(error) if self.is_once => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    say(&format!("error: the result of {} cannot be written: {error}", printable(&record.name, 200)));
                    return false;
                }
                Err(error) => {
                    if !is_told {
                        let name = printable(&record.name, 200);
                        say(&format!("warning: the result of {name} cannot be written yet: {error}"));
                    }
                    is_told = true;
                    thread::sleep(FULL);
                }
            }
        }
    }

    /// Takes the answered tags off, but never the last name of an image.
    fn settle(&self, images: &EngineImages, record: &mut Record) {
        let asked = record.clone();
        record.tags_left.retain(|tag| match images.untag(&asked.image, tag) {
            Ok(Untagged::Removed | Untagged::Absent) => false,
            Ok(Untagged::Last) => {
                record.is_last = true;
                true
            }
            // The next look tries again.
            Err(_) => true,
        });
        if *record != asked {
            // Where this is not noted, the next look finds the tag gone, and notes it.
            drop(self.results.write(record, None));
        }
    }

    fn tell(&self, record: &Record) {
        let Record { image, name, message, queue_milliseconds, scan_milliseconds, .. } = record;
        let word = message.as_ref().map_or_else(
            || record.status().meaning().to_owned(),
            |message| format!("incomplete: {}", printable(message, 400)),
        );
        let id = image.get(7..19).unwrap_or_default();
        let name = printable(name, 200);
        say(&format!("{name} ({id}): {word}; queued for {queue_milliseconds} ms, scanned in {scan_milliseconds} ms"));
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.add(record);
        // Whoever watches the sensor sees the next one.
        drop(self.results.write_beside("metrics.prom", &metrics.text(self.queue.len())));
    }
}

/// Whether a report is of the image with this id: the digest of its config or, where the engine keeps images as
/// registries do, of its manifest.
fn is_of(report: &Report, id: &str) -> bool {
    let target = &report.target;
    let digests = [target.config_digest, target.digest, target.index_digest];
    digests.into_iter().flatten().any(|digest| digest.to_string() == id)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
