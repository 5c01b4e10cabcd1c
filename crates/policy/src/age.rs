//! A length of time as a policy writes it: `24h`, `7d`, `1d12h`.
//!
//! The units are Go's and kubectl's (`s`, `m`, `h`) with days and weeks: a policy speaks in days.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

/// A length of time, more than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age(i64);

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a length of time such as 30m, 24h, 7d or 1d12h")]
pub struct AgeError {
    text: String,
}

/// The units, the longest first, with their seconds.
const UNITS: [(char, i64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A hundred years: beyond it, a sum could leave the calendar.
const LONGEST_SECONDS: i64 = 100 * 366 * 86_400;

impl Age {
    /// So many days.
    #[must_use]
    pub const fn from_days(days: u32) -> Self {
        Self(days as i64 * 86_400)
    }

    /// Its whole seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }
}

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        let refused = || AgeError { text: text.chars().take(40).collect() };
        let mut seconds = 0_i64;
        let mut number = None::<i64>;
        // Each unit at most once, the longest first: `1h2d` is a slip of the pen.
        let mut shortest = i64::MAX;
        for character in text.chars() {
            if let Some(digit) = character.to_digit(10) {
                let value = number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(i64::from(digit)));
                number = Some(value.filter(|n| *n <= LONGEST_SECONDS).ok_or_else(refused)?);
                continue;
            }
            let (_, unit) = UNITS.iter().find(|(name, _)| *name == character).ok_or_else(refused)?;
            let count = number.take().filter(|_| *unit < shortest).ok_or_else(refused)?;
            shortest = *unit;
            seconds = count.checked_mul(*unit).and_then(|n| n.checked_add(seconds)).ok_or_else(refused)?;
        }
        if number.is_some() || seconds == 0 || seconds > LONGEST_SECONDS {
            return Err(refused());
        }
        Ok(Self(seconds))
    }
}

impl fmt::Display for Age {
    /// The shortest text that reads back as the same length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One unit where one is enough: `24h` is written `1d`, `90s` is `1m30s`.
        let mut rest = self.0;
        for (name, unit) in UNITS.into_iter().filter(|(name, _)| *name != 'w') {
            let count = rest / unit;
            if count > 0 {
                write!(f, "{count}{name}")?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl Serialize for Age {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Age {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Age".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
            "minLength": 2,
            "description": "A length of time such as 30m, 24h, 7d or 1d12h."
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_and_refusals() {
        for (text, seconds, written) in [
            ("24h", 86_400, "1d"),
            ("7d", 604_800, "7d"),
            ("2w", 1_209_600, "14d"),
            ("1d12h", 129_600, "1d12h"),
            ("90s", 90, "1m30s"),
            ("05m", 300, "5m"),
        ] {
            let age: Age = text.parse().unwrap();
            assert_eq!((age.seconds(), age.to_string().as_str()), (seconds, written));
        }
        for bad in ["", "0d", "7", "d", "7 d", "1h2d", "1d1d", "-1d", "1.5d", "7D", "99999999999999999999d", "٣d"] {
            assert!(bad.parse::<Age>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in 1..LONGEST_SECONDS) {
            prop_assert_eq!(Age(seconds).to_string().parse(), Ok(Age(seconds)));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            if let Ok(age) = text.parse::<Age>() {
                prop_assert!(age.seconds() > 0);
            }
        }
    }
}
