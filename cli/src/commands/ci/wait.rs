//! `portcullis ci wait`: the job's side of the sensor. It ends with the verdict; what is not known is no pass.

use std::{
    thread,
    time::{Duration, Instant},
};

use portcullis_errors::{chain, printable};
use portcullis_image::EngineImages;
use portcullis_policy::ExitStatus;

use super::{
    pattern::Pattern,
    results::{Record, Results},
};
use crate::{
    args::{Global, WaitArgs},
    diagnostics::{Failure, Outcome, say},
    output::Outputs,
    settings,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a report may be another one than its record says: the sensor writes it first.
const REPLACED: Duration = Duration::from_secs(2);

pub(super) fn run(args: &WaitArgs, global: &Global) -> Outcome {
    let WaitArgs { image, place, timeout, max_age, output } = args;
    let outputs = Outputs::read(output, "table")?;
    let job = Waiting {
        patterns: super::patterns(place)?,
        results: Results::at(place.results.clone()),
        images: EngineImages::find(place.engine.into()).ok(),
        max_age: *max_age,
    };
    let until = Instant::now() + *timeout;
    let (id, tags) = job.find(image)?;
    let earlier = job.results.record(&id);
    job.results.wait_for(&id);
    let mut asking = Asking::Tags(tags);
    let mut unmatched = None;
    let answer = loop {
        if let Some(record) = job.results.record(&id).filter(|record| job.is_answer(record, &asking)) {
            let report = job.results.report(&record);
            let is_whole = report.is_some() == record.report.is_some();
            if is_whole || unmatched.get_or_insert_with(Instant::now).elapsed() >= REPLACED {
                break Some((record, report));
            }
        }
        if Instant::now() >= until {
            break None;
        }
        thread::sleep(PAUSE);
        match job.images.as_ref().map(|images| images.inspect(&id)) {
            Some(Ok(Some(image))) => asking = Asking::Tags(image.tags),
            Some(Ok(None)) => asking = Asking::Gone(earlier.clone()),
            // While the engine restarts, what was last seen holds.
            Some(Err(_)) | None => {}
        }
    };
    job.results.stop_waiting(&id);
    let Some((record, report)) = answer else {
        say(&format!("incomplete: there is no result of {} after {} s", printable(image, 200), timeout.as_secs()));
        say("hint: is `portcullis ci watch` running, with the same --results?");
        return Ok(ExitStatus::Incomplete);
    };
    tell(&record, global);
    match report {
        Some(report) => outputs.write(&report, global)?,
        None if record.report.is_some() => {
            say("incomplete: the report of this result is not there");
            return Ok(ExitStatus::Incomplete);
        }
        None => {}
    }
    Ok(record.status())
}

fn tell(record: &Record, global: &Global) {
    let Record { name, message, queue_milliseconds, scan_milliseconds, finished, .. } = record;
    let name = printable(name, 200);
    if let Some(message) = message {
        say(&format!("incomplete: {name}: {}", printable(message, 1_000)));
    } else if !global.quiet {
        say(&format!(
            "{name}: scanned at {finished} in {scan_milliseconds} ms, after {queue_milliseconds} ms in the queue"
        ));
    }
}

/// What asks for the answer that is waited for.
enum Asking {
    /// The tags of the image: the answer is one for all of them.
    Tags(Vec<String>),
    /// What asked is gone with the image: the answer is one that was not there before.
    Gone(Option<Record>),
}

struct Waiting {
    patterns: Vec<Pattern>,
    results: Results,
    /// None where the job has no socket of it: then an id must be given.
    images: Option<EngineImages>,
    max_age: Duration,
}

impl Waiting {
    /// The id that is meant, and the tags that it has.
    fn find(&self, image: &str) -> Result<(String, Vec<String>), Failure> {
        let found = self.images.as_ref().map(|images| images.inspect(image));
        let is_id = image.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64);
        match found {
            Some(Ok(Some(found))) => {
                let is_answered = self.results.record(&found.id).is_some();
                if !is_answered && self.asking(&found.tags).next().is_none() {
                    // The sensor writes the record before it takes the tag off.
                    return match self.results.record(&found.id) {
                        Some(_) => Ok((found.id, found.tags)),
                        None => Err(Failure::new(format!("{image} asks for no scan: it has no tag of the pattern"))
                            .with_hint(format!(
                                "docker tag {image} portcullis-target:{}",
                                found.id.get(7..19).unwrap_or("1")
                            ))),
                    };
                }
                Ok((found.id, found.tags))
            }
            Some(Ok(None)) if !is_id => Err(Failure::new(format!("the engine has no image {image}"))
                .with_hint("name the image itself, not the tag that asks: the sensor takes that off when it is done")),
            Some(Err(error)) if !is_id => {
                Err(Failure::new(chain(&error)).with_hint("give the id of the image, sha256:…"))
            }
            None if !is_id => Err(Failure::new("there is no engine that knows which image this is")
                .with_hint("give the id of the image, sha256:…")),
            _ => Ok((image.to_owned(), Vec::new())),
        }
    }

    fn asking<'a>(&'a self, tags: &'a [String]) -> impl Iterator<Item = &'a String> {
        tags.iter().filter(|tag| self.patterns.iter().any(|pattern| pattern.matches(tag)))
    }

    /// Whether a record answers what asks now: one of an earlier request, or an old one, is no answer.
    fn is_answer(&self, record: &Record, asking: &Asking) -> bool {
        let age = settings::clock().seconds_since(record.finished);
        let is_fresh = u64::try_from(age.max(0)).unwrap_or(0) <= self.max_age.as_secs();
        is_fresh
            && match asking {
                Asking::Tags(tags) => self.asking(tags).all(|tag| record.tags_left.contains(tag)),
                Asking::Gone(earlier) => !earlier.as_ref().is_some_and(|earlier| earlier.is_same_scan(record)),
            }
    }
}
