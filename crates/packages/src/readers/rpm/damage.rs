//! What can be wrong with a database, and with a header in it.

/// What was found out of place. What was read before and beside it survives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("it does not start as {0} does")]
    Unknown(&'static str),
    #[error("it ends after {len} bytes, and should have {claimed}")]
    Short { len: usize, claimed: u64 },
    #[error("it ends after {len} bytes, and names but {claimed}: what lies behind them is not read")]
    Long { len: usize, claimed: u64 },
    #[error("page {page} lies outside of the file")]
    Outside { page: u32 },
    #[error("page {page} is used twice")]
    Again { page: u32 },
    #[error("page {page} is cut short, or is not {what}")]
    Page { page: u32, what: &'static str },
    #[error("page {page}: entry {entry} does not lie inside of it")]
    Entry { page: u32, entry: usize },
    #[error("its entries overlap: together they are larger than the file")]
    Overlap,
    #[error("it has no table of packages")]
    NoTable,
    #[error("entry {index} of its index is none")]
    Slot { index: usize },
    #[error("the record of package {number} is not where the index says")]
    Blob { number: u32 },
    #[error("header {number} is too short for what it claims to hold")]
    Header { number: u64 },
    #[error("header {number}{named} has no package name or no version")]
    Nameless { number: u64, named: String },
    #[error("it has more than {0} {1}")]
    TooMany(usize, &'static str),
}

/// Takes the headers of a database one by one, and whatever is wrong.
pub(super) type Each<'a> = dyn FnMut(Result<&[u8], Damage>) + 'a;
