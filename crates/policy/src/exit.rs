//! Exit codes: one enum, the same for every command.

use std::process::ExitCode;

use portcullis_model::{Outcome, Verdict};

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitStatus {
    /// Done, and the policy passes.
    Pass = 0,
    /// It could not be done.
    Error = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The policy fails.
    Deny = 42,
    /// The policy would fail, and is in audit mode.
    Audit = 43,
    /// Something that the policy needs is unknown. Audit mode does not soften it: what is not known was not audited.
    Incomplete = 44,
}

impl ExitStatus {
    /// All of them, by code.
    pub const ALL: [Self; 6] = [Self::Pass, Self::Error, Self::Usage, Self::Deny, Self::Audit, Self::Incomplete];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What it means, for the manual.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Pass => "done, and the policy passes",
            Self::Error => "it could not be done: an error",
            Self::Usage => "usage",
            Self::Deny => "the policy fails: deny",
            Self::Audit => "the policy would fail, and is in audit mode",
            Self::Incomplete => "incomplete: something that the policy needs is unknown",
        }
    }
}

impl From<&Verdict> for ExitStatus {
    fn from(verdict: &Verdict) -> Self {
        match (verdict.result, verdict.policy.audit) {
            (Outcome::Pass, _) => Self::Pass,
            (Outcome::Unknown, _) => Self::Incomplete,
            (Outcome::Fail, false) => Self::Deny,
            (Outcome::Fail, true) => Self::Audit,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
