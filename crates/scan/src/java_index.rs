//! Java archives that do not say what they are, known by their digests: a table that the user gives.
//!
//! Its format is text: lines of a SHA-1 in lower-case hexadecimal, a blank, and `group:artifact:version`, sorted by
//! digest. Maven's repositories publish the SHA-1 of every file
//! (<https://maven.apache.org/resolver/about-checksums.html>), so such tables can be had. It may have gigabytes: it is
//! looked up by halving, and never held.

use std::{
    cmp::Ordering,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use portcullis_errors::{Hint, printable};
use portcullis_model::{Package, PackageType, Purl, WarningKind};

use crate::layer_facts::LayerFacts;

/// Longest line, in bytes.
const MAX_LINE: usize = 1024;

/// A digest in hexadecimal.
const DIGEST: usize = 40;

/// Lines that are looked at before anything is looked up: whoever forgot to sort shall not wonder.
const SAMPLES: u64 = 64;

/// What readers write before a digest that is evidence.
const EVIDENCE: &str = "sha1:";

/// A table from digests to coordinates.
#[derive(Debug)]
pub struct JavaIndex {
    file: File,
    path: PathBuf,
    size: u64,
}

/// Why a table gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum JavaIndexError {
    /// It cannot be read.
    #[error("the index of Java archives {} cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Its form is wrong.
    #[error("the index of Java archives {} {what}, at byte {at}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// Where.
        at: u64,
    },
}

impl Hint for JavaIndexError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { .. } => "name a file that can be read, or leave out --java-index".into(),
            Self::Form { .. } => {
                "its lines are `SHA1 group:artifact:version`, sorted with `LC_ALL=C sort`: see docs/coverage.md".into()
            }
        })
    }
}

impl JavaIndex {
    /// Opens a table.
    ///
    /// # Errors
    /// When it cannot be read, is empty, or some of its lines, which are looked at, are not of its form or not sorted.
    pub fn open(path: &Path) -> Result<Self, JavaIndexError> {
        let io = |cause| JavaIndexError::Io { path: path.to_owned(), cause };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        let index = Self { file, path: path.to_owned(), size: metadata.len() };
        let size = index.size;
        // A pipe has no length, and cannot be looked up in.
        if !metadata.is_file() || size == 0 {
            return Err(index.wrong("is no file with lines in it", 0));
        }
        let mut before = String::new();
        for sample in (0..SAMPLES.min(size)).map(|sample| size / SAMPLES.min(size) * sample) {
            let line = index.line(sample)?;
            if line.digest < before {
                return Err(index.wrong("is not sorted", line.start));
            }
            before = line.digest;
        }
        Ok(index)
    }

    /// The coordinates of the archive with that digest, in hexadecimal.
    ///
    /// # Errors
    /// When the table cannot be read, or is not sorted where it was looked at.
    pub fn find(&self, digest: &str) -> Result<Option<[String; 3]>, JavaIndexError> {
        let (mut low, mut high) = (0, self.size);
        let (mut before, mut after) = (String::new(), String::from("g"));
        while low < high {
            let line = self.line(low + (high - low) / 2)?;
            if line.digest < before || line.digest > after {
                return Err(self.wrong("is not sorted", line.start));
            }
            match line.digest.as_str().cmp(digest) {
                Ordering::Equal => return Ok(Some(line.coordinates)),
                Ordering::Less => (low, before) = (line.end, line.digest),
                Ordering::Greater => (high, after) = (line.start, line.digest),
            }
        }
        Ok(None)
    }

    /// The line that the byte `at` belongs to.
    fn line(&self, at: u64) -> Result<Line, JavaIndexError> {
        // With the ends of the line and of the one before it.
        let mut buffer = [0; 2 * (MAX_LINE + 1)];
        let from = at.saturating_sub(MAX_LINE as u64 + 1);
        let bytes = self.read(&mut buffer, from)?;
        let offset = usize::try_from(at - from).unwrap_or(usize::MAX).min(bytes.len());
        let (head, tail) = bytes.split_at(offset);
        let begin = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let length = tail.iter().position(|byte| *byte == b'\n');
        let is_last = from + bytes.len() as u64 == self.size;
        let end = length.map(|length| offset + length).or(is_last.then_some(bytes.len()));
        let start = from + begin as u64;
        let text = end
            .and_then(|end| bytes.get(begin..end))
            .filter(|_| begin > 0 || from == 0)
            .filter(|text| text.len() <= MAX_LINE);
        let Some((text, end)) = text.zip(end) else {
            return Err(self.wrong(format!("has a line of more than {MAX_LINE} bytes"), start));
        };
        let (digest, coordinates) = parse(text).ok_or_else(|| {
            let line = printable(&String::from_utf8_lossy(text), 100);
            self.wrong(format!("has the line `{line}`, which is no digest with coordinates"), start)
        })?;
        // Behind the line's end.
        let end = (from + end as u64 + 1).min(self.size);
        Ok(Line { start, end, digest, coordinates })
    }

    fn read<'a>(&self, buffer: &'a mut [u8], from: u64) -> Result<&'a [u8], JavaIndexError> {
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, from + length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(JavaIndexError::Io { path: self.path.clone(), cause }),
            }
        }
        Ok(buffer.get(..length).unwrap_or_default())
    }

    fn wrong(&self, what: impl Into<String>, at: u64) -> JavaIndexError {
        JavaIndexError::Form { path: self.path.clone(), what: what.into(), at }
    }
}

/// A line, and where it lies.
struct Line {
    start: u64,
    /// Where the next one begins.
    end: u64,
    digest: String,
    coordinates: [String; 3],
}

/// `SHA1 group:artifact:version`.
fn parse(line: &[u8]) -> Option<(String, [String; 3])> {
    let line = std::str::from_utf8(line).ok()?;
    let (digest, rest) = line.split_once([' ', '\t'])?;
    let is_digest = digest.len() == DIGEST && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = rest.trim().splitn(3, ':');
    let mut part = || parts.next().map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
    let coordinates = [part()?, part()?, part()?];
    is_digest.then(|| (digest.to_owned(), coordinates))
}

/// Names the archives of a layer that the table knows. Those of which nothing else is known are left out.
///
/// # Errors
/// When the table gives no answer.
pub(crate) fn name_archives(facts: &mut LayerFacts, index: &JavaIndex) -> Result<(), JavaIndexError> {
    for fact in &mut facts.facts {
        let mut named = Vec::new();
        for package in &mut fact.reading.packages {
            let Some(digest) = digest_of(package) else { continue };
            match index.find(digest)? {
                Some(coordinates) => {
                    name(package, &coordinates);
                    named.extend(package.locations.iter().map(|location| location.path.clone()));
                }
                None => package.evidence = None,
            }
        }
        fact.reading.packages.retain(|package| package.kind != PackageType::Maven || !package.purl.is_empty());
        // What was said of an archive that did not say what it is.
        let warnings = &mut fact.reading.warnings;
        warnings.retain(|warning| {
            let is_answered = warning.kind == WarningKind::Note && warning.message.ends_with(" is looked up");
            !is_answered || !named.contains(&warning.path)
        });
    }
    Ok(())
}

/// The digest by which a reader wants a package to be known.
fn digest_of(package: &Package) -> Option<&str> {
    package.evidence.as_deref().filter(|_| package.kind == PackageType::Maven)?.strip_prefix(EVIDENCE)
}

fn name(package: &mut Package, [group, artifact, version]: &[String; 3]) {
    package.purl = Purl::new(PackageType::Maven, group, artifact, version).build();
    package.name = format!("{group}:{artifact}");
    package.version.clone_from(version);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn index(text: &str) -> (tempfile::NamedTempFile, Result<JavaIndex, JavaIndexError>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let index = JavaIndex::open(file.path());
        (file, index)
    }

    fn digest(number: u32) -> String {
        format!("{number:08x}{:032x}", 7)
    }

    proptest! {
        #[test]
        fn every_line_is_found_and_nothing_else(
            known in prop::collection::btree_map(0..300_u32, "[a-z.]{1,300}:[a-z-]{1,9}:[0-9.]{1,9}", 1..60),
            has_newline: bool,
        ) {
            let known: BTreeMap<String, String> = known.into_iter().map(|(number, text)| (digest(number), text)).collect();
            let lines: Vec<String> = known.iter().map(|(digest, text)| format!("{digest} {text}")).collect();
            let text = lines.join("\n") + if has_newline { "\n" } else { "" };
            let (_file, index) = index(&text);
            let index = index.unwrap();
            for number in 0..300 {
                let digest = digest(number);
                let found = index.find(&digest).unwrap().map(|coordinates| coordinates.join(":"));
                prop_assert_eq!(found.as_ref(), known.get(&digest));
            }
        }

        #[test]
        fn whatever_the_file_holds_there_is_an_answer_or_an_error(text in "([0-9a-f]{40} a:b:c\n|[ -~\n]{0,80}){0,30}") {
            if let (_file, Ok(index)) = index(&text) {
                for number in 0..16 {
                    _ = index.find(&digest(number << 28));
                }
            }
        }
    }

    #[test]
    fn what_is_not_sorted_or_of_another_form_is_an_error() {
        let line = |number: u32| format!("{} g:a:{number}\n", digest(number));
        let found = |text: &str, number: u32| {
            let (file, index) = index(text);
            let found = index.and_then(|index| index.find(&digest(number)));
            found.map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
        };
        let unsorted = [line(7), line(1), line(5), line(9), line(3)].concat();
        assert_eq!(found(&unsorted, 8).unwrap_err(), "the index of Java archives FILE is not sorted, at byte 47");
        let many: String = (0..9_000).map(line).collect();
        assert_eq!(found(&many, 8_999).unwrap().unwrap(), ["g", "a", "8999"]);
        let long = format!("{} g:{}:1\n", digest(1), "a".repeat(MAX_LINE));
        let error = found(&long, 1).unwrap_err();
        assert_eq!(error, "the index of Java archives FILE has a line of more than 1024 bytes, at byte 0");
        let longest = format!("{} g:{}:1\n", digest(2), "a".repeat(MAX_LINE - 45));
        assert!(found(&(line(1) + &longest + &line(3)), 2).unwrap().is_some());
        for odd in ["x", "SHA1 g:a:1", &digest(1), &format!("{} g:a", digest(1)), &format!("{} g::1", digest(1)), "\n"]
        {
            let error = found(odd, 1).unwrap_err();
            assert!(error.contains("which is no digest with coordinates, at byte 0"), "{error}");
        }
        assert_eq!(found("", 1).unwrap_err(), "the index of Java archives FILE is no file with lines in it, at byte 0");
        let error = JavaIndex::open(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(error.contains("is no file with lines in it"), "{error}");
    }
}
