//! How often it succeeds, and how sure that is.
//!
//! The one place with floats: a rate is no money.
#![allow(clippy::float_arithmetic)]

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// With fewer decided episodes than this, a rate says little: it is shown as such.
pub const FEW: i64 = 30;

/// A share of successes, with the interval that holds the true one in 95 of 100 cases (Wilson 1927, the score interval: it stays within 0 and 100 %
/// and is usable for few).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rate {
    /// Confirmed and assumed outcomes.
    pub successes: i64,
    /// These, and failed and void ones.
    pub decided: i64,
    /// In tenths of a per cent.
    pub permille: i64,
    /// The lower end.
    pub from_permille: i64,
    /// The upper end.
    pub to_permille: i64,
}

impl Rate {
    /// The rate of so many; `None` of none.
    pub fn of(successes: i64, decided: i64) -> Option<Self> {
        if decided <= 0 || !(0..=decided).contains(&successes) {
            return None;
        }
        // Of the standard normal distribution, 97.5 % lie below.
        let z = 1.959_963_985_f64;
        let n = decided as f64;
        let p = successes as f64 / n;
        let middle = p + z * z / (2.0 * n);
        let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let below = 1.0 + z * z / n;
        let permille = |share: f64| (share.clamp(0.0, 1.0) * 1_000.0).round() as i64;
        Some(Self {
            successes,
            decided,
            permille: permille(p),
            from_permille: permille((middle - reach) / below),
            to_permille: permille((middle + reach) / below),
        })
    }

    /// Whether it rests on few.
    pub fn is_of_few(&self) -> bool {
        self.decided < FEW
    }

    /// `72.5 %`.
    pub fn shown(&self) -> String {
        percent(self.permille)
    }

    /// `61.3 % to 81.7 %`.
    pub fn interval(&self) -> String {
        format!("{} to {}", percent(self.from_permille), percent(self.to_permille))
    }
}

fn percent(permille: i64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the worked example of Newcombe (1998, Statistics in Medicine 17, table I): 81 of 263 is 0.2553 to 0.3662, 15 of
    /// 148 is 0.0624 to 0.1605, 0 of 20 is 0 to 0.1611, 1 of 29 is 0.0061 to 0.1718.
    #[test]
    fn intervals_are_those_that_are_published() {
        let ends = |successes, decided| {
            Rate::of(successes, decided).map(|rate| (rate.from_permille, rate.to_permille))
        };
        assert_eq!(ends(81, 263), Some((255, 366)));
        assert_eq!(ends(15, 148), Some((62, 160)));
        assert_eq!(ends(0, 20), Some((0, 161)));
        assert_eq!(ends(1, 29), Some((6, 172)));
        assert_eq!(ends(0, 0), None);
        assert_eq!(Rate::of(29, 29).map(|rate| rate.is_of_few()), Some(true));
    }
}
