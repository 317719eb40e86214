//! Prepaid credits: what is granted, and what a period draws of it.

use crate::money::{self, Currency, MoneyError};
use crate::period::Period;
use crate::time::Timestamp;

/// Credits that a customer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Unique per customer.
    pub id: String,
    /// How much was granted, in minor units.
    pub minor: i64,
    /// From when on it counts.
    pub effective_at: Timestamp,
    /// From when on no more; `None` is never.
    pub expires_at: Option<Timestamp>,
}

impl Grant {
    /// Whether it is valid in a part of the period.
    fn counts_for(&self, period: Period) -> bool {
        self.effective_at < period.end && self.expires_at.is_none_or(|expires_at| expires_at > period.start)
    }
}

/// What `total_minor` of a period draws of the grants, each with what is left of it: the grant, minor units, why. What expires first is
/// drawn first. Nothing where the total is not positive.
pub fn draw(
    grants: &[(Grant, i64)],
    period: Period,
    total_minor: i64,
    currency: Currency,
) -> Result<Vec<(String, i64, String)>, MoneyError> {
    let mut ordered: Vec<&(Grant, i64)> =
        grants.iter().filter(|(grant, _)| grant.counts_for(period)).collect();
    ordered.sort_by_key(|(grant, _)| {
        let expires_at = grant.expires_at.map_or(i64::MAX, |at| at.0);
        (expires_at, grant.effective_at, grant.id.as_bytes())
    });
    let (mut missing, mut drawn) = (total_minor, Vec::new());
    for (grant, left) in ordered {
        let taken = missing.min(*left);
        if taken <= 0 {
            continue;
        }
        missing -= taken;
        let rest = left.checked_sub(taken).ok_or(MoneyError::Overflow)?;
        let shown = |minor: i64| format!("{} {}", money::minor_decimal(minor, currency), currency.code());
        let expiry = grant.expires_at.map_or(String::new(), |at| format!(", which expires {at}"));
        let why =
            format!("{} of {} granted{expiry}; {} are left", shown(taken), shown(grant.minor), shown(rest));
        drawn.push((grant.id.clone(), taken, why));
    }
    Ok(drawn)
}
