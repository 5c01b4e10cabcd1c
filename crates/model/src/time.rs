//! Times: RFC 3339, UTC, whole seconds, as every report and statement writes them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

/// How far a signed moment may lie ahead of ours, in seconds: clocks differ.
pub const CLOCK_SKEW_SECONDS: i64 = 300;

/// A moment in UTC, in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text or number is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time as RFC 3339 writes it, such as 2026-11-25T12:00:00Z")]
pub struct TimestampError {
    text: String,
}

impl Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z; clamped to the years that RFC 3339 can write.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(-62_167_219_200, 253_402_207_199))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Whole seconds from `earlier` to `self`; negative if `earlier` is later.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// `YYYY-MM-DD`.
    #[must_use]
    pub fn date(self) -> String {
        self.to_string()[..10].to_owned()
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let refused = || TimestampError { text: text.chars().take(60).collect() };
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::from_unix(time.as_second()));
        }
        // A bare date means its first moment: advisories and policies write dates so.
        let date: jiff::civil::Date = text.parse().map_err(|_error| refused())?;
        let midnight = jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_err(|_error| refused())?;
        Ok(Self::from_unix(midnight.as_second()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{time}"),
            // Not reached: `from_unix` clamps to what jiff can write.
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_and_times_and_drops_fractions() {
        for (text, written) in [
            ("2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z"),
            ("2026-11-25T12:00:00.987+02:00", "2026-11-25T10:00:00Z"),
            ("2026-11-25", "2026-11-25T00:00:00Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), written);
        }
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert_eq!(Timestamp::from_unix(i64::MAX).date(), "9999-12-30");
    }
}
