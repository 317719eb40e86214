//! Integers of nanos, and the one rounding there is: half away from zero.

/// `numerator / denominator`, rounded half away from zero. The denominator is positive.
pub fn round_div(numerator: i128, denominator: i128) -> i128 {
    let size = (2 * numerator.abs() + denominator) / (2 * denominator);
    size * numerator.signum()
}

/// A non-negative decimal of at most 18 decimals, such as "0.0123", in nanos.
///
/// # Panics
/// On anything else: the oracle reads valid traffic only.
pub fn nanos(decimal: &str) -> i64 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = format!("{whole}{fraction:0<18}");
    let attos: i128 = digits.parse().expect("a decimal of at most 18 decimals");
    i64::try_from(round_div(attos, 1_000_000_000)).expect("an amount in range")
}

/// How many decimals the currency's minor unit has.
///
/// # Panics
/// On a currency the oracle does not know.
pub fn minor_units(currency: &str) -> u32 {
    match currency {
        "JPY" => 0,
        "USD" | "EUR" => 2,
        "KWD" => 3,
        _ => panic!("no minor unit known for {currency}"),
    }
}
