//! Programs that no package manager installed, by what they say of themselves: one table, one row each.
//!
//! A file is looked into only where a row of the table names it, while it streams by; all that is held is a window of
//! some hundred bytes. Whether it is a distribution's is not known here: that is found when the layers are laid over one
//! another, and whose advisories then speak of it is decided when packages are matched.

mod table;

use std::sync::{LazyLock, OnceLock};

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Purl, Reading, application_cpe};
use regex::bytes::{Captures, Regex, RegexBuilder};

use crate::{
    PackageReader, Selection, StreamReader,
    complete::language_package,
    executable::{Window, is_executable},
};
use table::{Choice, Files, PROGRAMS, Program};

/// Knows programs by their own words.
pub(crate) struct KnownPrograms;

/// How much is looked at from each place on: no pattern matches more.
const LOOK_AHEAD: usize = 512;

/// Memory that a pattern may take while it is looked for, in bytes.
const DFA_SIZE: usize = 128 << 10;

/// The longest evidence told, in characters.
const MAX_EVIDENCE: usize = 100;

impl PackageReader for KnownPrograms {
    fn name(&self) -> &'static str {
        "known-programs"
    }

    fn reads(&self) -> &'static str {
        "executables and libraries of known names, such as `openssl`, `libpython3.11.so` or `nginx`; `**/release`, \
         `**/go/VERSION`, `**/OTP_VERSION`, `**/RELEASE-NOTES`, `**/application.ini`, `**/bin/elixir`, \
         `**/ebin/elixir.app`, `**/julia/julia_version.h`, `**/wp-includes/version.php`, `**/bin/wp`, \
         `**/wp-cli.phar`, `**/composer`, `**/composer.phar`"
    }

    /// As many as the longest place has that a program is known by.
    fn path_parts(&self) -> usize {
        3
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let mut rows = rows_of(file).peekable();
        rows.peek()?;
        let searches = rows.map(Search::new).collect();
        Some(Selection::Stream(Box::new(Searches { path: file.path.to_owned(), window: Window::new(), searches })))
    }

    /// Not called: every file is read in pieces.
    fn read(&self, _: &FileHeader<'_>, _: &[u8]) -> Reading {
        Reading::default()
    }
}

/// The rows that name a file.
fn rows_of<'a>(file: &'a FileHeader<'a>) -> impl Iterator<Item = usize> + 'a {
    let is_binary = is_executable(file);
    let name = file.file_name();
    PROGRAMS.iter().enumerate().filter_map(move |(row, program)| {
        let is_named = match program.files {
            Files::Binaries(stems) => is_binary && stems.iter().any(|stem| is_called(name, stem)),
            Files::Paths(paths) => paths.iter().any(|path| {
                file.path.strip_suffix(path).is_some_and(|before| before.is_empty() || before.ends_with('/'))
            }),
        };
        is_named.then_some(row)
    })
}

/// Whether a file is called `stem`, but for a version and what systems put behind names: `libpython3.6m.so.1.0`.
fn is_called(name: &str, stem: &str) -> bool {
    let Some(rest) = name.strip_prefix(stem) else { return false };
    let rest = ["exe", "dll", "dylib"].iter().find_map(|ending| rest.strip_suffix(ending)).unwrap_or(rest);
    // `openssl.so` is what ties a language to the library, and not the program.
    let (before, after) = match rest.split_once(".so") {
        Some(_) if !stem.starts_with("lib") => return false,
        Some(parts) => parts,
        None => (rest, ""),
    };
    // `libcrypto.so.1.0.2k` ends with its release's letter.
    let number = after.strip_suffix(|last: char| last.is_ascii_lowercase()).unwrap_or(after);
    let after = if number.ends_with(|last: char| last.is_ascii_digit()) { number } else { after };
    // A name that ends so is followed by a hash.
    let is_version = |byte: u8| match byte {
        b'0'..=b'9' | b'.' | b'-' | b'm' => true,
        b'a'..=b'f' => stem.ends_with('-'),
        _ => false,
    };
    before.bytes().all(is_version) && after.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The patterns of each row, made when they are first needed.
static PATTERNS: LazyLock<Vec<OnceLock<Patterns>>> =
    LazyLock::new(|| PROGRAMS.iter().map(|_| OnceLock::new()).collect());

struct Patterns {
    version: Option<Regex>,
    publisher: Option<Regex>,
}

fn patterns(row: usize) -> Option<(&'static Program, &'static Patterns)> {
    let program = PROGRAMS.get(row)?;
    // A pattern that is none finds nothing; a test holds all of them against that.
    let pattern = |text: &str| RegexBuilder::new(text).unicode(false).dfa_size_limit(DFA_SIZE).build().ok();
    let make = || Patterns { version: pattern(program.version), publisher: program.publisher.and_then(pattern) };
    Some((program, PATTERNS.get(row)?.get_or_init(make)))
}

/// What one row looks for in one file.
struct Search {
    row: usize,
    /// The version, and the text that it stands in.
    found: Option<(String, String)>,
    /// Whether the file holds several versions, and nothing says which of them is its own.
    is_ambiguous: bool,
    publisher: Option<String>,
}

impl Search {
    const fn new(row: usize) -> Self {
        Self { row, found: None, is_ambiguous: false, publisher: None }
    }

    fn is_done(&self, path: &str) -> bool {
        let Some(program) = PROGRAMS.get(self.row) else { return true };
        let is_certain = self.is_ambiguous || (self.found.is_some() && !is_by_its_words_alone(program, path));
        is_certain && (self.publisher.is_some() || program.publisher.is_none())
    }

    /// Looks at what begins in the first `places` of `bytes`.
    fn look(&mut self, path: &str, bytes: &[u8], places: usize) {
        let Some((program, patterns)) = patterns(self.row) else { return };
        if let Some(pattern) = patterns.version.as_ref().filter(|_| !self.is_ambiguous) {
            if self.found.is_none() {
                let series = if program.choice == Choice::OfSeries { series(path) } else { "" };
                self.found = find(pattern, bytes, places, |version| is_within(version, series));
            }
            if let Some((known, _)) = self.found.as_ref().filter(|_| is_by_its_words_alone(program, path)) {
                self.is_ambiguous = find(pattern, bytes, places, |version| version != known).is_some();
            }
        }
        if let (None, Some(pattern)) = (&self.publisher, &patterns.publisher) {
            self.publisher = find(pattern, bytes, places, |_| true).map(|(publisher, _)| publisher);
        }
    }

    fn package(self, path: &str) -> Option<Package> {
        let (version, seen) = self.found.filter(|_| !self.is_ambiguous)?;
        let program = PROGRAMS.get(self.row)?;
        let purl = Purl::new(PackageType::Generic, "", program.name, &version);
        let (vendor, product) = program.product;
        let cpe = application_cpe(vendor, product, &version);
        let evidence = Some(format!("known program `{}`: {seen}", program.name));
        let named = (program.name.to_owned(), version);
        Some(Package {
            cpe,
            evidence,
            vendor: self.publisher,
            ..language_package(PackageType::Generic, purl, named, None, path)
        })
    }
}

/// The first match that begins in the first `places` of `bytes` and whose group is wanted: the group, and all of it.
fn find(pattern: &Regex, bytes: &[u8], places: usize, is_wanted: impl Fn(&str) -> bool) -> Option<(String, String)> {
    let mut start = 0;
    // A match that is not wanted may hide another one that begins inside of it.
    while let Some(captures) = pattern.captures_at(bytes, start) {
        let whole = captures.get(0)?;
        #[cfg(test)]
        tests::count_looked_at(whole.end() - start);
        if whole.start() >= places {
            return None;
        }
        if let Some(group) = group(&captures).filter(|group| is_wanted(group)) {
            return Some((group, shown(whole.as_bytes())));
        }
        start = whole.start() + 1;
    }
    #[cfg(test)]
    tests::count_looked_at(bytes.len() - start);
    None
}

/// The first group that takes part.
fn group(captures: &Captures<'_>) -> Option<String> {
    let group = captures.iter().skip(1).flatten().next()?;
    Some(shown(group.as_bytes()))
}

/// Bytes of a program for people: what cannot be shown is a space, at the ends nothing.
fn shown(bytes: &[u8]) -> String {
    let character = |&byte: &u8| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { ' ' };
    let text: String = bytes.iter().map(character).take(MAX_EVIDENCE).collect();
    text.trim().to_owned()
}

/// Whether a program's version counts only where no other stands in the file.
fn is_by_its_words_alone(program: &Program, path: &str) -> bool {
    match program.choice {
        Choice::First => false,
        Choice::OfSeries => series(path).is_empty(),
        Choice::Sole => true,
    }
}

/// `3.11` of `lib/libpython3.11.so.1.0`; empty where the name has no two numbers.
fn series(path: &str) -> &str {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let numbers = name.trim_start_matches(|character: char| !character.is_ascii_digit());
    let end = numbers.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(numbers.len());
    let numbers = numbers.get(..end).unwrap_or_default().trim_end_matches('.');
    if numbers.contains('.') { numbers } else { "" }
}

/// Whether `3.11.4` goes on with `3.11`.
fn is_within(version: &str, series: &str) -> bool {
    series.is_empty() || version.strip_prefix(series).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Looks for all that the rows of one file ask for.
struct Searches {
    path: String,
    window: Window<LOOK_AHEAD>,
    searches: Vec<Search>,
}

impl StreamReader for Searches {
    fn feed(&mut self, piece: &[u8]) -> bool {
        let Self { path, window, searches } = self;
        window.feed(piece, |bytes, places| searches.iter_mut().for_each(|search| search.look(path, bytes, places)));
        searches.iter().any(|search| !search.is_done(path))
    }

    fn finish(self: Box<Self>) -> Reading {
        let Self { path, mut window, mut searches } = *self;
        window.finish(|bytes, places| searches.iter_mut().for_each(|search| search.look(&path, bytes, places)));
        let packages = searches.into_iter().filter_map(|search| search.package(&path)).collect();
        Reading { packages, ..Reading::default() }
    }
}

#[cfg(test)]
mod tests;
