//! Kubernetes' quantities (`500m`, `1Gi`) in expressions, with the functions of its CEL library for them:
//! <https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-quantity-library>.
//!
//! How they are written: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>. As there,
//! what is smaller than a billionth is rounded away from zero, and what has a binary suffix is at most 2^63 - 1.
//! `isInteger`, `asInteger` and `asApproximateFloat` are not there: in Kubernetes their answers depend on how the number
//! was written.

use std::{cmp::Ordering, sync::Arc};

use cel::{
    DeclarationError, Env, ExecutionError, Value as Cel,
    common::{
        types::{INT_TYPE, STRING_TYPE, Type},
        value::{CowVal, Val},
    },
    objects::Opaque,
};

use crate::judge::shown;

/// The functions that [`declare`] adds.
pub(in crate::workloads) const FUNCTIONS: [&str; 8] =
    ["quantity", "isQuantity", "sign", "isLessThan", "isGreaterThan", "compareTo", "add", "sub"];

const TYPE_NAME: &str = "kubernetes.Quantity";
const UNITS: u128 = 1_000_000_000;
/// The most digits without zeros before and behind them. Kubernetes takes more; here that is no number that counts.
const MAX_DIGITS: usize = 36;
/// What a number with a binary suffix is at most.
const MAX_BINARY: u128 = i64::MAX as u128 * UNITS;

/// An amount, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Quantity(i128);

impl Opaque for Quantity {
    fn runtime_type_name(&self) -> &str {
        TYPE_NAME
    }
}

/// Why a text is no quantity, or none that can be reckoned with.
#[derive(Debug, PartialEq, Eq)]
enum Unusable {
    /// It is none.
    Malformed,
    /// It has too many digits.
    TooLarge,
}

/// How a number goes on behind its digits.
enum Suffix {
    /// A power of ten.
    Decimal(i64),
    /// A power of two.
    Binary(u32),
}

impl Suffix {
    fn parse(text: &str) -> Result<Self, Unusable> {
        Ok(match text {
            "n" => Self::Decimal(-9),
            "u" => Self::Decimal(-6),
            "m" => Self::Decimal(-3),
            "" => Self::Decimal(0),
            "k" => Self::Decimal(3),
            "M" => Self::Decimal(6),
            "G" => Self::Decimal(9),
            "T" => Self::Decimal(12),
            "P" => Self::Decimal(15),
            "E" => Self::Decimal(18),
            "Ki" => Self::Binary(10),
            "Mi" => Self::Binary(20),
            "Gi" => Self::Binary(30),
            "Ti" => Self::Binary(40),
            "Pi" => Self::Binary(50),
            "Ei" => Self::Binary(60),
            _ => {
                let exponent = text.strip_prefix(['e', 'E']).ok_or(Unusable::Malformed)?;
                let exponent: i64 = exponent.parse().map_err(|_error| Unusable::Malformed)?;
                Self::Decimal(i32::try_from(exponent).map_err(|_error| Unusable::TooLarge)?.into())
            }
        })
    }
}

impl Quantity {
    /// Digits may be missing, before the point, behind it, or both: that is zero.
    fn parse(text: &str) -> Result<Self, Unusable> {
        let is_negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        if text.is_empty() {
            return Err(Unusable::Malformed);
        }
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, rest) = unsigned.split_at(digits(unsigned));
        let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), |rest| rest.split_at(digits(rest)));
        let suffix = Suffix::parse(rest)?;
        let places = i64::try_from(fraction.len()).map_err(|_error| Unusable::TooLarge)?;
        let written = format!("{whole}{fraction}");
        let significant = written.trim_start_matches('0').trim_end_matches('0');
        if significant.len() > MAX_DIGITS {
            return Err(Unusable::TooLarge);
        }
        if significant.is_empty() {
            return Ok(Self(0));
        }
        let zeros = written.len() - written.trim_end_matches('0').len();
        let zeros = i64::try_from(zeros).map_err(|_error| Unusable::TooLarge)?;
        let number: u128 = significant.parse().map_err(|_error| Unusable::TooLarge)?;
        let amount = match suffix {
            Suffix::Decimal(power) => scaled(number, power + zeros - places)?,
            Suffix::Binary(power) => {
                let number = number.checked_mul(1 << power).ok_or(Unusable::TooLarge)?;
                scaled(number, zeros - places)?.min(MAX_BINARY)
            }
        };
        let amount = i128::try_from(amount).map_err(|_error| Unusable::TooLarge)?;
        Ok(Self(if is_negative { -amount } else { amount }))
    }
}

/// So many billionths: the number times a power of ten, rounded up.
fn scaled(number: u128, power: i64) -> Result<u128, Unusable> {
    let power = power + 9;
    match u32::try_from(power) {
        Ok(power) => 10_u128.checked_pow(power).and_then(|by| number.checked_mul(by)).ok_or(Unusable::TooLarge),
        Err(_) => {
            let by = u32::try_from(-power).ok().and_then(|power| 10_u128.checked_pow(power));
            Ok(by.map_or(1, |by| number.div_ceil(by)))
        }
    }
}

/// Adds the functions.
///
/// # Errors
/// Where one of them is there already.
pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let quantity = || Type::new_opaque_type(TYPE_NAME);
    env.add_overload("quantity", "string_to_quantity", vec![STRING_TYPE], |parts| {
        let text = text(&parts)?;
        Quantity::parse(&text).map_err(|why| unusable(&text, &why)).map(value)?
    })?;
    env.add_overload("isQuantity", "is_quantity_string", vec![STRING_TYPE], |parts| {
        let text = text(&parts)?;
        match Quantity::parse(&text) {
            Ok(_) => plain(Cel::Bool(true)),
            Err(Unusable::Malformed) => plain(Cel::Bool(false)),
            Err(why) => Err(unusable(&text, &why)),
        }
    })?;
    env.add_overload("sign", "quantity_sign", vec![quantity()], |parts| {
        plain(Cel::Int(amount(&parts, 0)?.signum() as i64))
    })?;
    env.add_member_overload("isLessThan", "quantity_is_less_than", quantity(), vec![quantity()], |parts| {
        plain(Cel::Bool(order(&parts)?.is_lt()))
    })?;
    env.add_member_overload("isGreaterThan", "quantity_is_greater_than", quantity(), vec![quantity()], |parts| {
        plain(Cel::Bool(order(&parts)?.is_gt()))
    })?;
    env.add_member_overload("compareTo", "quantity_compare_to", quantity(), vec![quantity()], |parts| {
        plain(Cel::Int(order(&parts)? as i64))
    })?;
    for (id, other) in [("quantity_add", quantity()), ("quantity_add_int", INT_TYPE)] {
        env.add_member_overload("add", id, quantity(), vec![other], |parts| {
            sum(amount(&parts, 0)?.checked_add(amount(&parts, 1)?))
        })?;
    }
    for (id, other) in [("quantity_sub", quantity()), ("quantity_sub_int", INT_TYPE)] {
        env.add_member_overload("sub", id, quantity(), vec![other], |parts| {
            sum(amount(&parts, 0)?.checked_sub(amount(&parts, 1)?))
        })?;
    }
    Ok(())
}

type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn plain<'b, 'v>(value: Cel) -> Answer<'b, 'v> {
    Box::<dyn Val>::try_from(value).map(CowVal::Owned)
}

fn value<'b, 'v>(quantity: Quantity) -> Answer<'b, 'v> {
    plain(Cel::Opaque(Arc::new(quantity)))
}

fn sum<'b, 'v>(amount: Option<i128>) -> Answer<'b, 'v> {
    amount.map(Quantity).map(value).ok_or_else(|| ExecutionError::function_error("quantity", "it is too large"))?
}

fn unusable(text: &str, why: &Unusable) -> ExecutionError {
    let why = match why {
        Unusable::Malformed => "is none",
        Unusable::TooLarge => "has too many digits",
    };
    ExecutionError::function_error("quantity", format!("`{}` {why}", shown(text)))
}

/// A part of a call, which has the declared type.
fn part(parts: &[CowVal<'_, '_>], index: usize) -> Result<Cel, ExecutionError> {
    let part = parts.get(index).ok_or_else(|| ExecutionError::invalid_argument_count(index + 1, parts.len()))?;
    Cel::try_from(part.as_ref())
}

fn text(parts: &[CowVal<'_, '_>]) -> Result<Arc<String>, ExecutionError> {
    match part(parts, 0)? {
        Cel::String(text) => Ok(text),
        _ => Err(ExecutionError::function_error("quantity", "it is made of a text")),
    }
}

/// A quantity's amount, or that of a whole number.
fn amount(parts: &[CowVal<'_, '_>], index: usize) -> Result<i128, ExecutionError> {
    let amount = match part(parts, index)? {
        Cel::Int(number) => Some(i128::from(number) * UNITS as i128),
        Cel::Opaque(value) => value.downcast_ref().map(|Quantity(amount)| *amount),
        _ => None,
    };
    amount.ok_or_else(|| ExecutionError::function_error("quantity", "it is no quantity"))
}

fn order(parts: &[CowVal<'_, '_>]) -> Result<Ordering, ExecutionError> {
    Ok(amount(parts, 0)?.cmp(&amount(parts, 1)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Result<i128, Unusable> {
        Quantity::parse(text).map(|Quantity(amount)| amount)
    }

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        const ONE: i128 = UNITS as i128;
        for (text, amount) in [
            ("0", 0),
            ("-0", 0),
            ("1", ONE),
            ("+1", ONE),
            ("-1.5", -3 * ONE / 2),
            ("500m", ONE / 2),
            ("1n", 1),
            ("1u", 1_000),
            ("3k", 3_000 * ONE),
            ("12e6", 12_000_000 * ONE),
            ("12E-3", 12 * ONE / 1000),
            ("1e+2", 100 * ONE),
            ("1E", 1_000_000_000_000_000_000 * ONE),
            ("1Ki", 1024 * ONE),
            ("0.5Gi", (1 << 29) * ONE),
            ("1.5Mi", 1_572_864 * ONE),
            ("007", 7 * ONE),
            ("5.", 5 * ONE),
            (".5", ONE / 2),
            // Whatever has no digits is zero.
            (".", 0),
            ("-", 0),
            ("Gi", 0),
            ("0e99999", 0),
            // What is too small is rounded away from zero.
            ("0.1n", 1),
            ("-0.1n", -1),
            ("1e-2000", 1),
            ("0.0000000001Ki", 103),
            // A number with a binary suffix has a limit.
            ("8Ei", i128::from(i64::MAX) * ONE),
            ("-9Ei", -i128::from(i64::MAX) * ONE),
            ("10E", 10_000_000_000_000_000_000 * ONE),
            ("100000000000000000000", 100_000_000_000_000_000_000 * ONE),
        ] {
            assert_eq!(of(text), Ok(amount), "{text}");
        }
        for text in [
            "",
            " 1",
            "1 ",
            "1i",
            "1K",
            "1ki",
            "1.1.1",
            "--1",
            "1e",
            "1e1.5",
            "1Mi5",
            "a",
            "1m5",
            "²",
            "1e9999999999999999999",
        ] {
            assert_eq!(of(text), Err(Unusable::Malformed), "{text}");
        }
        for text in ["1e30", "1e2147483647", "1e2147483648", "1234567890123456789012345678901234567"] {
            assert_eq!(of(text), Err(Unusable::TooLarge), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(text in ".{0,40}|[-+]?[0-9.]{0,50}[eEinumkKMGTP]{0,3}[-+0-9]{0,12}") {
            _ = of(&text);
        }

        #[test]
        fn whole_numbers_are_themselves(number in any::<i64>()) {
            prop_assert_eq!(of(&number.to_string()), Ok(i128::from(number) * UNITS as i128));
        }
    }
}
