//! Go modules, from the build information in executables.
//!
//! Format: Go's `debug/buildinfo` (<https://github.com/golang/go/blob/go1.26.0/src/debug/buildinfo/buildinfo.go>): a
//! header aligned to 16 bytes, then, since Go 1.18, two strings with their lengths before them. It is found by its
//! magic while the file streams by, so a binary of any size costs a few kilobytes.

use memchr::memmem::Finder;
use portcullis_filetree::FileHeader;
use portcullis_model::{Location, Package, PackageType, Purl, Reading, Warning};

use crate::{PackageReader, Selection, StreamReader};

/// Reads build information.
pub(crate) struct Go;

/// What build information starts with.
const MAGIC: &[u8] = b"\xff Go buildinf:";

/// Length of the header that the magic opens.
const HEADER: usize = 32;

/// Where the linker puts it.
const ALIGNMENT: u64 = 16;

/// Flag of the header: the strings follow inline.
const INLINE: u8 = 2;

/// Longest version and module list taken, in bytes.
const MAX_VERSION: usize = 1024;
const MAX_MODULES: usize = 16 << 20;

/// The module list stands between two marks of this length.
const MARK: usize = 16;

impl PackageReader for Go {
    fn name(&self) -> &'static str {
        "go"
    }

    fn reads(&self) -> &'static str {
        "every ELF, Mach-O and PE executable, by its first bytes"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        // ELF; PE; Mach-O in either order of bytes.
        let is_executable = matches!(
            file.head,
            [0x7f, b'E', b'L', b'F', ..]
                | [b'M', b'Z', ..]
                | [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..]
                | [0xfe, 0xed, 0xfa, 0xcf | 0xce, ..]
        );
        // No Go program is smaller than its runtime.
        let is_large = file.size > 64 << 10;
        (is_executable && is_large).then(|| Selection::Stream(Box::new(BuildInfo::new(file.path))))
    }

    fn read(&self, _: &FileHeader<'_>, _: &[u8]) -> Reading {
        Reading::default()
    }
}

/// Looks for build information in a stream.
struct BuildInfo {
    path: String,
    finder: Finder<'static>,
    /// What may belong to build information: from a magic on, or the last bytes of a piece.
    held: Vec<u8>,
    /// Offset in the file of `held`.
    offset: u64,
    /// Whether `held` starts with a magic whose strings have not all arrived.
    is_open: bool,
    found: Option<Reading>,
}

impl BuildInfo {
    fn new(path: &str) -> Self {
        let finder = Finder::new(MAGIC);
        Self { path: path.to_owned(), finder, held: Vec::new(), offset: 0, is_open: false, found: None }
    }

    /// Forgets the first `length` bytes held.
    fn forget(&mut self, length: usize) {
        self.held.drain(..length);
        self.offset += length as u64;
    }

    /// Looks at what is held; true when nothing more is wanted.
    fn look(&mut self, is_end: bool) -> bool {
        loop {
            if !self.is_open {
                match self.finder.find(&self.held) {
                    Some(at) if (self.offset + at as u64).is_multiple_of(ALIGNMENT) => {
                        self.forget(at);
                        self.is_open = true;
                    }
                    Some(at) => {
                        self.forget(at + 1);
                        continue;
                    }
                    None => {
                        let kept = self.held.len().min(MAGIC.len() - 1);
                        self.forget(self.held.len() - kept);
                        return false;
                    }
                }
            }
            match parse(&self.held, &self.path) {
                Parsed::Reading(reading) => {
                    self.found = Some(reading);
                    return true;
                }
                Parsed::Short if !is_end => return false,
                Parsed::Short | Parsed::Nothing => {
                    self.is_open = false;
                    self.forget(1);
                }
            }
        }
    }
}

impl StreamReader for BuildInfo {
    fn feed(&mut self, mut piece: &[u8]) -> bool {
        if self.found.is_some() {
            return false;
        }
        if !self.is_open {
            // Most pieces hold no magic: then only their last bytes are kept. One that lies across two pieces is found
            // in what is held of the first with the start of the second.
            let seam = piece.len().min(MAGIC.len() - 1);
            self.held.extend_from_slice(&piece[..seam]);
            let across = self.finder.find(&self.held).is_some();
            self.held.truncate(self.held.len() - seam);
            if !across {
                match self.finder.find(piece) {
                    None => {
                        let whole = self.held.len() + piece.len();
                        let kept = whole.min(MAGIC.len() - 1);
                        self.offset += (whole - kept) as u64;
                        if piece.len() >= kept {
                            self.held.clear();
                            piece = &piece[piece.len() - kept..];
                        } else {
                            let excess = whole - kept;
                            self.held.drain(..excess);
                        }
                        self.held.extend_from_slice(piece);
                        return true;
                    }
                    Some(at) => {
                        self.offset += (self.held.len() + at) as u64;
                        self.held.clear();
                        piece = &piece[at..];
                    }
                }
            }
        }
        self.held.extend_from_slice(piece);
        !self.look(false)
    }

    fn finish(mut self: Box<Self>) -> Reading {
        if self.found.is_none() {
            self.look(true);
        }
        self.found.unwrap_or_default()
    }
}

/// What bytes that start with the magic are.
enum Parsed {
    Reading(Reading),
    /// More bytes are needed.
    Short,
    /// The magic stands there by chance: in a program that looks for it, such as `go` or a scanner.
    Nothing,
}

fn parse(bytes: &[u8], path: &str) -> Parsed {
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return Parsed::Short };
    let flags = header[15];
    if flags & INLINE == 0 {
        let is_pointer_form = matches!(header[14], 4 | 8) && flags <= 1;
        if !is_pointer_form || header[16..].iter().all(|&byte| byte == 0) {
            return Parsed::Nothing;
        }
        let warning = Warning::gap(path, "a program built by Go 1.17 or older: its modules were not read");
        return Parsed::Reading(Reading { warnings: vec![warning], ..Reading::default() });
    }
    let (version, rest) = match string(rest, MAX_VERSION) {
        Ok(Some(split)) => split,
        Ok(None) => return Parsed::Short,
        Err(()) => return Parsed::Nothing,
    };
    let is_version = version.starts_with(b"go1") || version.starts_with(b"devel ");
    let Some(version) = std::str::from_utf8(version).ok().filter(|_| is_version) else { return Parsed::Nothing };
    match string(rest, MAX_MODULES) {
        Ok(Some((modules, _))) => Parsed::Reading(reading(version, modules, path)),
        Ok(None) => Parsed::Short,
        Err(()) => Parsed::Nothing,
    }
}

/// A string with its length before it, as a varint; none if it has not arrived yet.
#[allow(clippy::type_complexity, reason = "the string, and what follows it")]
fn string(bytes: &[u8], limit: usize) -> Result<Option<(&[u8], &[u8])>, ()> {
    let mut length = 0_usize;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if length > limit {
                return Err(());
            }
            return Ok(bytes.get(index + 1..).and_then(|rest| rest.split_at_checked(length)));
        }
    }
    if bytes.len() < 5 { Ok(None) } else { Err(()) }
}

/// The packages of one program.
fn reading(version: &str, modules: &[u8], path: &str) -> Reading {
    let mut reading = Reading::default();
    let mut add = |name: &str, version: &str| {
        let (namespace, plain) = name.rsplit_once('/').unwrap_or(("", name));
        reading.packages.push(Package {
            kind: PackageType::Golang,
            name: name.to_owned(),
            version: version.to_owned(),
            purl: Purl::new(PackageType::Golang, namespace, plain, version).build(),
            source: None,
            architecture: None,
            vendor: None,
            licenses: Vec::new(),
            owned_by: None,
            locations: vec![Location { path: path.to_owned(), layer: None }],
        });
    };
    // `go1.21.5 X:nocoverageredesign`, `go1.22rc1`; a development version has no order.
    if let Some(version) = version.strip_prefix("go") {
        add("stdlib", version.split([' ', '-']).next().unwrap_or(version));
    }
    let modules = modules.get(MARK..modules.len().saturating_sub(MARK)).unwrap_or_default();
    let modules = String::from_utf8_lossy(modules);
    let mut pending: Option<(&str, &str)> = None;
    let mut main = None;
    let mut ldflags = "";
    for line in modules.lines() {
        let mut parts = line.split('\t');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("mod"), Some(name), version) => main = Some((name, version.unwrap_or_default())),
            (Some("dep"), Some(name), Some(version)) => {
                if let Some((name, version)) = pending.replace((name, version)) {
                    add(name, version);
                }
            }
            // What was built in the place of the module before; a local folder has no version.
            (Some("=>"), Some(name), Some(version)) if !version.is_empty() => pending = Some((name, version)),
            (Some("build"), Some(setting), _) => ldflags = setting.strip_prefix("-ldflags=").unwrap_or(ldflags),
            _ => {}
        }
    }
    if let Some((name, version)) = pending {
        add(name, version);
    }
    if let Some((name, version)) = main {
        match version {
            "" | "(devel)" => {
                if let Some(version) = linked_version(ldflags) {
                    add(name, &version);
                }
            }
            version => add(name, version),
        }
    }
    reading
}

/// The version that a build script has put in with `-X …version=1.2.3`.
fn linked_version(ldflags: &str) -> Option<String> {
    let words = ldflags.split([' ', '"', '\'']);
    let values = words.filter_map(|word| word.split_once('='));
    let versions = values.filter(|(name, _)| name.to_ascii_lowercase().ends_with("version"));
    versions
        .map(|(_, value)| value)
        .find(|value| is_release(value))
        .map(|value| format!("v{}", value.trim_start_matches('v')))
}

/// Three numbers with dots, and whatever follows.
fn is_release(text: &str) -> bool {
    let numbers: Vec<&str> = text.trim_start_matches('v').splitn(3, '.').collect();
    let starts_with_digit = |part: &&str| part.starts_with(|character: char| character.is_ascii_digit());
    numbers.len() == 3 && numbers.iter().all(starts_with_digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn varint(mut value: usize, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    /// A program with a stray magic before the real one.
    fn program(modules: &str) -> Vec<u8> {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.extend(std::iter::repeat_n(0x90, 1000));
        bytes.extend_from_slice(MAGIC);
        bytes.resize(4096, 0);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[8, INLINE]);
        bytes.resize(4096 + HEADER, 0);
        varint("go1.21.5".len(), &mut bytes);
        bytes.extend_from_slice(b"go1.21.5");
        varint(modules.len() + 2 * MARK, &mut bytes);
        bytes.extend_from_slice(&[b'0'; MARK]);
        bytes.extend_from_slice(modules.as_bytes());
        bytes.extend_from_slice(&[b'0'; MARK]);
        bytes.extend(std::iter::repeat_n(0, 3000));
        bytes
    }

    fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
        let mut stream = Box::new(BuildInfo::new("usr/bin/app"));
        for piece in pieces {
            if !stream.feed(piece) {
                break;
            }
        }
        stream.finish().packages.iter().map(|package| package.purl.clone()).collect()
    }

    const MODULES: &str = "path\texample.com/app\nmod\texample.com/app\t(devel)\t\ndep\tgithub.com/a/b\tv1.0.0\th1:x=\n\
        dep\tgithub.com/c/d\tv2.0.0\th1:y=\n=>\tgithub.com/fork/d\tv2.0.1\th1:z=\n\
        build\t-ldflags=\"-s -X main.version=3.1.4 -X main.commit=abc\"\n";

    const EXPECTED: [&str; 4] = [
        "pkg:golang/stdlib@1.21.5",
        "pkg:golang/github.com/a/b@v1.0.0",
        "pkg:golang/github.com/fork/d@v2.0.1",
        "pkg:golang/example.com/app@v3.1.4",
    ];

    #[test]
    fn modules_replacements_and_the_toolchain_are_read() {
        assert_eq!(read(std::iter::once(program(MODULES).as_slice())), EXPECTED);
    }

    #[test]
    fn a_stray_magic_is_no_build_information() {
        let mut bytes = program(MODULES);
        bytes.truncate(4000);
        assert_eq!(read(std::iter::once(bytes.as_slice())), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(size in 1_usize..600) {
            prop_assert_eq!(read(program(MODULES).chunks(size)), EXPECTED);
        }

        #[test]
        fn never_panics(mut bytes: Vec<u8>, tail: Vec<u8>, size in 1_usize..40) {
            bytes.resize(bytes.len().next_multiple_of(16), 0);
            bytes.extend_from_slice(MAGIC);
            bytes.extend_from_slice(&tail);
            let _packages = read(bytes.chunks(size));
        }
    }
}
