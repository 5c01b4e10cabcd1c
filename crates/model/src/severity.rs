//! How bad a vulnerability is, and who says so.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Text;

/// A severity in words, ordered from the least to the worst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SeverityLevel {
    /// Nobody has said.
    #[default]
    Unknown,
    /// No effect on security (CVSS 0.0, "unimportant").
    None,
    /// CVSS 0.1–3.9, "negligible", "minor".
    Low,
    /// CVSS 4.0–6.9, "moderate".
    Medium,
    /// CVSS 7.0–8.9, "important".
    High,
    /// CVSS 9.0–10.0.
    Critical,
}

impl SeverityLevel {
    /// Every level, the worst first: the order of tables and totals.
    pub const WORST_FIRST: [Self; 6] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::None, Self::Unknown];

    /// The qualitative rating of a CVSS base score, by the table that v3.1 (section 5) and v4.0 (section 6) share.
    #[must_use]
    pub fn from_score(score: f64) -> Self {
        match score {
            s if s >= 9.0 => Self::Critical,
            s if s >= 7.0 => Self::High,
            s if s >= 4.0 => Self::Medium,
            s if s > 0.0 => Self::Low,
            _ => Self::None,
        }
    }

    /// The word, as reports write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for SeverityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SeverityLevel {
    type Err = String;

    /// Reads the words of the distributions and of GitHub, in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "critical" => Self::Critical,
            "high" | "important" => Self::High,
            "medium" | "moderate" => Self::Medium,
            "low" | "minor" | "negligible" => Self::Low,
            "none" | "unimportant" => Self::None,
            "unknown" | "untriaged" | "not yet assigned" | "end-of-life" | "" => Self::Unknown,
            other => return Err(format!("`{other}` is not a severity: none, low, medium, high or critical")),
        })
    }
}

/// A severity with what it rests on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Severity {
    /// In words.
    pub level: SeverityLevel,
    /// CVSS base score, 0.0–10.0, where a vector is known.
    pub score: Option<f64>,
    /// The CVSS vector that the score was computed from.
    pub vector: Option<Text>,
    /// Who said so: `distribution`, `advisory`, or the id of the record that carried it.
    pub source: Option<Text>,
}
