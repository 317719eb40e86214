//! Money as an integer of nanos with its currency.

use serde::{Deserialize, Serialize};
use std::fmt;

pub use iso_currency::Currency;

/// Nanos in one unit of a currency.
pub const NANOS_PER_UNIT: i64 = 1_000_000_000;

/// An amount in nano-units (10^-9) of its currency. Spans about 9.2 billion units either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Nano-units of `currency`.
    pub nanos: i64,
    /// The ISO 4217 currency.
    pub currency: Currency,
}

/// What can go wrong with money. None of it can be retried: the input must be mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a plain decimal.
    #[error("`{0}` is not a decimal amount such as 0.99 (digits and at most one dot, no exponent)")]
    NotADecimal(String),
    /// More decimals than are counted, or larger than what fits.
    #[error("`{0}` is out of range")]
    OutOfRange(String),
    /// A sum does not fit.
    #[error("the sum overflows")]
    Overflow,
    /// Two currencies met in one sum.
    #[error("{0} cannot be added to {1}")]
    CurrencyMismatch(&'static str, &'static str),
    /// Not an ISO 4217 code.
    #[error("`{0}` is not an ISO 4217 currency code such as USD")]
    UnknownCurrency(String),
    /// A currency without minor units (such as gold) cannot be billed.
    #[error("{0} has no minor units, it cannot be billed")]
    NotBillable(&'static str),
}

impl Money {
    /// Nothing, in `currency`.
    pub fn zero(currency: Currency) -> Self {
        Self { nanos: 0, currency }
    }

    /// The sum, if both are of one currency and it fits.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch(other.currency.code(), self.currency.code()));
        }
        let nanos = self.nanos.checked_add(other.nanos).ok_or(MoneyError::Overflow)?;
        Ok(Self { nanos, ..self })
    }

    /// The opposite amount.
    pub fn negated(self) -> Result<Self, MoneyError> {
        Ok(Self { nanos: self.nanos.checked_neg().ok_or(MoneyError::Overflow)?, ..self })
    }

    /// The amount in the currency's minor units, rounded half away from zero. This is the one place
    /// where nanos become cents; it is called once for each invoice line.
    pub fn to_minor_units(self) -> Result<i64, MoneyError> {
        let exponent = minor_exponent(self.currency)?;
        let nanos_per_minor = 10_i64.pow(9 - exponent);
        divide_half_away(i128::from(self.nanos), i128::from(nanos_per_minor)).ok_or(MoneyError::Overflow)
    }

    /// So many minor units of a currency.
    pub fn of_minor_units(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        let nanos_per_minor = 10_i64.pow(9 - minor_exponent(currency)?);
        let nanos = minor.checked_mul(nanos_per_minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { nanos, currency })
    }
}

impl fmt::Display for Money {
    /// All decimals that are not trailing zeros, at least the currency's own: `0.99 USD`, `0.0000375 USD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = minor_exponent(self.currency).unwrap_or(2) as usize;
        write!(f, "{} {}", decimal(self.nanos, shown), self.currency.code())
    }
}

/// `nanos` as a decimal with at least `decimals` decimals and no trailing zeros beyond them.
pub fn decimal(nanos: i64, decimals: usize) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let whole = nanos.unsigned_abs() / NANOS_PER_UNIT as u64;
    let fraction = format!("{:09}", nanos.unsigned_abs() % NANOS_PER_UNIT as u64);
    let keep = fraction.trim_end_matches('0').len().max(decimals);
    match &fraction[..keep] {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

/// An amount in minor units as a decimal of the currency: 99 USD cents are `0.99`.
pub fn minor_decimal(minor: i64, currency: Currency) -> String {
    let exponent = minor_exponent(currency).unwrap_or(2) as usize;
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", minor.unsigned_abs(), width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len() - exponent);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Reads a decimal of whole minor units, such as `43.65` dollars.
pub fn parse_minor(text: &str, currency: Currency) -> Result<i64, MoneyError> {
    let amount = Money { nanos: parse_nanos(text)?, currency };
    let minor = amount.to_minor_units()?;
    match Money::of_minor_units(minor, currency)? == amount {
        true => Ok(minor),
        false => Err(MoneyError::OutOfRange(text.into())),
    }
}

/// The currency of an ISO 4217 code (upper case).
pub fn currency(code: &str) -> Result<Currency, MoneyError> {
    Currency::from_code(code).ok_or_else(|| MoneyError::UnknownCurrency(code.into()))
}

/// How many decimals the minor unit of a currency has.
pub fn minor_exponent(currency: Currency) -> Result<u32, MoneyError> {
    match currency.exponent() {
        Some(exponent) if exponent <= 9 => Ok(u32::from(exponent)),
        _ => Err(MoneyError::NotBillable(currency.code())),
    }
}

/// Reads a decimal such as `0.0123` (a sign is allowed, an exponent is not, at most 18 decimals) as nanos,
/// rounding what is finer than a nano half away from zero.
pub fn parse_nanos(text: &str) -> Result<i64, MoneyError> {
    let not_decimal = || MoneyError::NotADecimal(text.chars().take(40).collect());
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || digits.ends_with('.') || !all_digits(whole) || !all_digits(fraction) {
        return Err(not_decimal());
    }
    let out_of_range = || MoneyError::OutOfRange(text.chars().take(40).collect());
    if fraction.len() > 18 || whole.len() > 18 {
        return Err(out_of_range());
    }
    // At most 18 + 18 digits: below 10^36, which an i128 holds.
    let scaled: i128 = format!("{whole}{fraction:0<18}").parse().map_err(|_| not_decimal())?;
    let signed = if negative { -scaled } else { scaled };
    divide_half_away(signed, 1_000_000_000).ok_or_else(out_of_range)
}

/// `numerator / denominator` (which is positive), rounded half away from zero, if it fits 64 bits.
pub fn divide_half_away(numerator: i128, denominator: i128) -> Option<i64> {
    let quotient = numerator / denominator;
    let remainder = (numerator % denominator).abs();
    let away = if remainder >= denominator - remainder { numerator.signum() } else { 0 };
    i64::try_from(quotient.checked_add(away)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_to_the_nano() {
        assert_eq!(parse_nanos("0.99"), Ok(990_000_000));
        assert_eq!(parse_nanos("12"), Ok(12_000_000_000));
        assert_eq!(parse_nanos("0.0000000005"), Ok(1));
        assert_eq!(parse_nanos("0.00000000049999"), Ok(0));
        assert_eq!(parse_nanos("-0.0000000005"), Ok(-1));
        assert_eq!(parse_nanos("9223372036.854775807"), Ok(i64::MAX));
        for bad in ["", ".5", "5.", "1e3", "1,5", "+1", "0x1", " 1", "1.2.3", "NaN", "--1"] {
            assert!(matches!(parse_nanos(bad), Err(MoneyError::NotADecimal(_))), "{bad}");
        }
        for bad in ["9223372036.854775808", "0.1234567890123456789", "1000000000000000000000"] {
            assert!(matches!(parse_nanos(bad), Err(MoneyError::OutOfRange(_))), "{bad}");
        }
    }

    #[test]
    fn minor_units_round_half_away_from_zero() {
        let minor = |nanos, currency| Money { nanos, currency }.to_minor_units();
        assert_eq!(minor(994_999_999, Currency::USD), Ok(99));
        assert_eq!(minor(995_000_000, Currency::USD), Ok(100));
        assert_eq!(minor(-995_000_000, Currency::USD), Ok(-100));
        assert_eq!(minor(500_000_000, Currency::JPY), Ok(1));
        assert_eq!(minor(1_234_500_000, Currency::KWD), Ok(1235));
        assert!(minor(1, Currency::XAU).is_err());
    }

    #[test]
    fn amounts_are_shown_whole() {
        assert_eq!(Money { nanos: 37_500, currency: Currency::USD }.to_string(), "0.0000375 USD");
        assert_eq!(Money { nanos: -1_500_000_000, currency: Currency::EUR }.to_string(), "-1.50 EUR");
        assert_eq!(Money { nanos: 110_000_000_000, currency: Currency::JPY }.to_string(), "110 JPY");
        assert_eq!(minor_decimal(-5, Currency::USD), "-0.05");
        assert_eq!(minor_decimal(1234, Currency::KWD), "1.234");
        assert_eq!(minor_decimal(110, Currency::JPY), "110");
    }

    #[test]
    fn sums_are_checked() {
        let dollars = |nanos| Money { nanos, currency: Currency::USD };
        assert_eq!(dollars(i64::MAX).plus(dollars(1)), Err(MoneyError::Overflow));
        assert!(dollars(1).plus(Money::zero(Currency::EUR)).is_err());
        assert_eq!(dollars(i64::MIN).negated(), Err(MoneyError::Overflow));
    }
}
