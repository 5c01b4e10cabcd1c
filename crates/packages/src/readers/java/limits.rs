//! What one archive, with all that is nested in it, may cost.

use flate2::Decompress;
use portcullis_model::{Package, Reading, Warning, WarningKind};

/// How deep archives may be nested in one another. Real ones go three deep: a jar in a war in an ear.
pub(super) const MAX_DEPTH: usize = 8;

/// Bytes that metadata and nested archives may inflate to: this many, and so many times the size of the file.
const INFLATED_BASE: u64 = 64 << 20;
const INFLATED_RATIO: u64 = 16;

/// Most entries, of all archives together.
const MAX_ENTRIES: u64 = 5_000_000;

/// Most bytes of names, versions and places kept.
const MAX_KEPT: usize = 32 << 20;

/// Most warnings kept. Further remarks are counted; a further gap ends the walk.
const MAX_WARNINGS: usize = 1000;

/// Bytes inflated at once.
const INFLATE_BUFFER: usize = 32 << 10;

/// What the walk of an archive and of those nested in it share: findings, and what may still be spent.
pub(super) struct Shared {
    pub(super) packages: Vec<Package>,
    warnings: Vec<Warning>,
    /// Remarks that were not kept.
    unsaid: usize,
    inflated_left: u64,
    entries_left: u64,
    kept_left: usize,
    exhausted: Option<String>,
    /// Inflaters that are free: each has some fifty kilobytes.
    inflaters: Vec<Inflater>,
    inflated_limit: u64,
}

impl Shared {
    /// For a file of `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        let inflated_limit = size.saturating_mul(INFLATED_RATIO).saturating_add(INFLATED_BASE);
        Self {
            packages: Vec::new(),
            warnings: Vec::new(),
            unsaid: 0,
            inflated_left: inflated_limit,
            entries_left: MAX_ENTRIES,
            kept_left: MAX_KEPT,
            exhausted: None,
            inflaters: Vec::new(),
            inflated_limit,
        }
    }

    /// Whether a limit was met: nothing more is read.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.exhausted.is_some()
    }

    /// What was found in the archive at `path`.
    pub(super) fn into_reading(self, path: &str) -> Reading {
        let Self { packages, mut warnings, exhausted, unsaid, .. } = self;
        warnings.extend(exhausted.map(|what| Warning::gap(path, what)));
        if unsaid > 0 {
            warnings.push(Warning::note(path, format!("{unsaid} more remarks on archives in it are left out")));
        }
        Reading { packages, warnings, ..Reading::default() }
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        } else if warning.kind == WarningKind::Gap {
            self.exhaust(format!("not read to its end: it gave more than {MAX_WARNINGS} warnings"));
        } else {
            self.unsaid += 1;
        }
    }

    pub(super) fn count_entry(&mut self) {
        match self.entries_left.checked_sub(1) {
            Some(left) => self.entries_left = left,
            None => self.exhaust(format!("not read to its end: it has more than {MAX_ENTRIES} entries")),
        }
    }

    pub(super) fn count_inflated(&mut self, bytes: usize) {
        match self.inflated_left.checked_sub(bytes as u64) {
            Some(left) => self.inflated_left = left,
            None => {
                self.exhaust(format!("not read to its end: it inflates to more than {} bytes", self.inflated_limit))
            }
        }
    }

    pub(super) fn count_kept(&mut self, bytes: usize) {
        match self.kept_left.checked_sub(bytes) {
            Some(left) => self.kept_left = left,
            None => self.exhaust(format!("not read to its end: it names more than {MAX_KEPT} bytes of packages")),
        }
    }

    fn exhaust(&mut self, what: String) {
        self.exhausted.get_or_insert(what);
    }

    pub(super) fn take_inflater(&mut self) -> Inflater {
        self.inflaters
            .pop()
            .unwrap_or_else(|| Inflater { state: Decompress::new(false), output: vec![0; INFLATE_BUFFER] })
    }

    pub(super) fn give_back(&mut self, mut inflater: Inflater) {
        inflater.state.reset(false);
        self.inflaters.push(inflater);
    }
}

/// Inflates one entry.
pub(super) struct Inflater {
    pub(super) state: Decompress,
    pub(super) output: Vec<u8>,
}
