//! From the records of the file to what matching is given.

use std::sync::Arc;

use portcullis_model::{Advisory, AdvisoryKey, Affected, FixState, Interval, LookupError, SeverityLevel, Texts};

use crate::{decode::Cursor, format::CveName};

/// What a package's record says.
pub(crate) fn affected(record: &[u8]) -> Result<Vec<Affected<'_>>, LookupError> {
    let mut cursor = Cursor::new(record);
    cursor.text()?;
    cursor.text()?;
    let count = cursor.count()?;
    let lists = (0..count).map(|_| intervals(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
    let count = cursor.count()?;
    let mut last = 0;
    (0..count).map(|_| entry(&mut cursor, &lists, &mut last)).collect()
}

fn intervals<'a>(cursor: &mut Cursor<'a>) -> Result<Arc<[Interval<&'a str>]>, LookupError> {
    let count = cursor.count()?;
    // An interval takes more memory than bytes of the file: a number alone reserves none.
    let mut intervals = Vec::with_capacity(count.min(1000));
    for _ in 0..count {
        let introduced = cursor.optional_text()?;
        let fixed = cursor.optional_text()?;
        let last_affected = if fixed.is_none() { cursor.optional_text()? } else { None };
        intervals.push(Interval { introduced, fixed, last_affected });
    }
    Ok(intervals.into())
}

fn entry<'a>(
    cursor: &mut Cursor<'a>,
    lists: &[Arc<[Interval<&'a str>]>],
    last: &mut u64,
) -> Result<Affected<'a>, LookupError> {
    *last = last.saturating_add(cursor.number()?);
    let advisory = u32::try_from(*last).map_err(|_error| LookupError("a key is too large".into()))?;
    let list = usize::try_from(cursor.number()?).ok().and_then(|number| lists.get(number));
    let intervals = list.ok_or_else(|| LookupError("a list of intervals is missing".into()))?;
    let flags = cursor.byte()?;
    let unfixed = match flags >> 3 & 3 {
        1 => Some(FixState::WillNotFix),
        2 => Some(FixState::Deferred),
        3 => Some(FixState::EndOfLife),
        _ => None,
    };
    let versions = if flags & 1 << 5 != 0 { cursor.texts()? } else { Vec::new() };
    let binaries = if flags & 1 << 6 != 0 { cursor.texts()? } else { Vec::new() };
    Ok(Affected {
        advisory: AdvisoryKey(advisory),
        intervals: Arc::clone(intervals),
        versions,
        severity: (flags & 7).checked_sub(1).map(level),
        unfixed,
        binaries,
    })
}

/// An advisory's number, by itself.
pub(crate) fn key(cursor: &mut Cursor<'_>) -> Result<AdvisoryKey, LookupError> {
    let number = u32::try_from(cursor.number()?).map_err(|_error| LookupError("a key is too large".into()))?;
    Ok(AdvisoryKey(number))
}

/// The inverse of `SeverityLevel as u8`.
pub(crate) const fn level(number: u8) -> SeverityLevel {
    match number {
        1 => SeverityLevel::None,
        2 => SeverityLevel::Low,
        3 => SeverityLevel::Medium,
        4 => SeverityLevel::High,
        5 => SeverityLevel::Critical,
        _ => SeverityLevel::Unknown,
    }
}

/// The texts of an advisory, as they are read; they lie behind one another in memory.
#[derive(Default)]
pub(crate) struct AdvisoryTexts {
    texts: Texts,
    cves: usize,
    has_vector: bool,
    has_source: bool,
    aliases: usize,
    cwes: usize,
    references: usize,
}

impl AdvisoryTexts {
    /// The texts of the advisory `id`.
    pub(crate) fn of(id: &str) -> Self {
        let mut texts = Texts::default();
        texts.reserve(16, 512);
        texts.add(id);
        Self { texts, ..Self::default() }
    }

    /// The next of the CVEs. They come before the short text.
    pub(crate) fn cve(&mut self, cve: &CveName) {
        self.texts.add_display(cve);
        self.cves += 1;
    }

    /// Reads a short text.
    pub(crate) fn short_text(&mut self, text: &[u8]) -> Result<(), LookupError> {
        let mut cursor = Cursor::new(text);
        self.texts.reserve(0, text.len());
        self.texts.add(cursor.text()?);
        let (vector, source) = (cursor.optional_text()?, cursor.optional_text()?);
        (self.has_vector, self.has_source) = (vector.is_some(), source.is_some());
        vector.into_iter().chain(source).for_each(|text| self.texts.add(text));
        self.aliases = self.list(&mut cursor)?;
        self.cwes = self.list(&mut cursor)?;
        self.references = cursor.count()?;
        for _ in 0..self.references {
            let _kind = cursor.text()?;
            self.texts.add(cursor.text()?);
        }
        Ok(())
    }

    fn list(&mut self, cursor: &mut Cursor<'_>) -> Result<usize, LookupError> {
        let count = cursor.count()?;
        for _ in 0..count {
            self.texts.add(cursor.text()?);
        }
        Ok(count)
    }

    /// Puts them where they belong: the same order once more.
    pub(crate) fn fill(self, advisory: &mut Advisory) {
        let Self { texts, cves, has_vector, has_source, aliases, cwes, references } = self;
        let mut texts = texts.share();
        advisory.id = texts.next().unwrap_or_default();
        advisory.cves = texts.by_ref().take(cves).collect();
        advisory.summary = texts.next().unwrap_or_default();
        advisory.severity.vector = if has_vector { texts.next() } else { None };
        advisory.severity.source = if has_source { texts.next() } else { None };
        advisory.aliases = texts.by_ref().take(aliases).collect();
        advisory.cwes = texts.by_ref().take(cwes).collect();
        advisory.references = texts.by_ref().take(references).collect();
    }
}
