//! From the records of the file to what matching is given.

use std::sync::Arc;

use portcullis_model::{
    Advisory, AdvisoryKey, Affected, FixState, Interval, LookupError, Reference, Severity, SeverityLevel,
};

use crate::decode::Cursor;

/// What a package's record says.
pub(crate) fn affected(record: &[u8]) -> Result<Vec<Affected>, LookupError> {
    let mut cursor = Cursor::new(record);
    cursor.text()?;
    cursor.text()?;
    let count = cursor.count()?;
    let lists = (0..count).map(|_| intervals(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
    let count = cursor.count()?;
    let mut last = 0;
    (0..count).map(|_| entry(&mut cursor, &lists, &mut last)).collect()
}

fn intervals(cursor: &mut Cursor<'_>) -> Result<Arc<[Interval]>, LookupError> {
    let count = cursor.count()?;
    // An interval takes more memory than bytes of the file: a number alone reserves none.
    let mut intervals = Vec::with_capacity(count.min(1000));
    for _ in 0..count {
        let introduced = cursor.optional_text()?.map(str::to_owned);
        let fixed = cursor.optional_text()?.map(str::to_owned);
        let last_affected = if fixed.is_none() { cursor.optional_text()?.map(str::to_owned) } else { None };
        intervals.push(Interval { introduced, fixed, last_affected });
    }
    Ok(intervals.into())
}

fn entry(cursor: &mut Cursor<'_>, lists: &[Arc<[Interval]>], last: &mut u64) -> Result<Affected, LookupError> {
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

/// Reads a short text into the advisory that it belongs to.
pub(crate) fn short_text(text: &[u8], advisory: &mut Advisory) -> Result<(), LookupError> {
    let mut cursor = Cursor::new(text);
    advisory.summary = cursor.text()?.to_owned();
    let vector = cursor.optional_text()?.map(str::to_owned);
    let source = cursor.optional_text()?.map(str::to_owned);
    advisory.severity = Severity { vector, source, ..Severity::default() };
    advisory.aliases = cursor.texts()?;
    advisory.cwes = cursor.texts()?;
    let count = cursor.count()?;
    advisory.references.reserve_exact(count.min(200));
    for _ in 0..count {
        let kind = cursor.text()?.to_owned();
        let url = cursor.text()?.to_owned();
        advisory.references.push(Reference { kind, url });
    }
    Ok(())
}
