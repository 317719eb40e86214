//! What so many outcomes cost under one price: tiers and packages.

use super::{Mode, times};
use crate::contract::Price;
use crate::judge::WinKind;
use crate::money::{self, MoneyError};

/// A price, decoded.
pub(super) struct Ladder {
    mode: Mode,
    /// The last outcome of each, its price and what is charged once for it.
    tiers: Vec<(i64, i64, i64)>,
    /// Outcomes are sold by so many.
    package: i64,
}

impl Ladder {
    pub(super) fn of(price: &Price, win: WinKind) -> Result<Self, MoneyError> {
        let (amount, tiers) = price.of(win);
        let tiers = match amount {
            Some(amount) => vec![(i64::MAX, money::parse_nanos(amount)?, 0)],
            None => tiers
                .iter()
                .map(|tier| {
                    let flat = tier.flat.as_deref().map_or(Ok(0), money::parse_nanos)?;
                    Ok((tier.up_to.unwrap_or(i64::MAX), money::parse_nanos(&tier.amount)?, flat))
                })
                .collect::<Result<_, MoneyError>>()?,
        };
        Ok(Self { mode: price.mode, tiers, package: price.package.unwrap_or(1).max(1) })
    }

    /// What so many outcomes cost, and how that comes to be.
    pub(super) fn cost(&self, quantity: i64) -> Result<(i64, String), MoneyError> {
        // Fewer than none cannot be sold; they cost the opposite of what as many would.
        if quantity < 0 {
            let (cost, why) = self.cost(quantity.checked_neg().ok_or(MoneyError::Overflow)?)?;
            return Ok((cost.checked_neg().ok_or(MoneyError::Overflow)?, format!("taken back: {why}")));
        }
        let sold = quantity / self.package + i64::from(quantity % self.package != 0);
        let (mut sum, mut words, mut below) = (0_i64, Vec::new(), 0_i64);
        for &(up_to, amount, flat) in &self.tiers {
            let within = match self.mode {
                Mode::Graduated => sold.min(up_to) - below,
                Mode::Volume if sold <= up_to => sold,
                Mode::Volume => 0,
            };
            if within > 0 {
                let cost = times(amount, within)?.checked_add(flat).ok_or(MoneyError::Overflow)?;
                sum = sum.checked_add(cost).ok_or(MoneyError::Overflow)?;
                let once = if flat == 0 { String::new() } else { format!(" + {}", money::decimal(flat, 2)) };
                words.push(format!("{within} × {}{once}", money::decimal(amount, 2)));
            }
            if sold <= up_to {
                break;
            }
            below = up_to;
        }
        let packages =
            if self.package == 1 { String::new() } else { format!(" (packages of {})", self.package) };
        let words = if words.is_empty() { "0".into() } else { words.join(" + ") };
        Ok((sum, format!("{words}{packages}")))
    }
}
