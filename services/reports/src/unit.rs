//! What an attempt and an outcome are worth: figures that hold revenue against cost, what is pending at its expected
//! price, and what comes back.

use crate::failure_cost::{Row, count};
use crate::rate::FEW;
use serde::Serialize;
use utoipa::ToSchema;
use verdict_domain::economics::{Bucket, Figures};
use verdict_domain::money::divide_half_away;

/// Sums whose money, in the days that are asked for, is in one currency: only there may revenue be held against cost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Unit {
    /// Whether there is money of a group that has some in another currency too; it is not in these sums.
    pub leaves_out: bool,
    /// Attempts.
    pub attempts: i64,
    /// Of these, of episodes that are not decided.
    pub pending_attempts: i64,
    /// What the attempts cost.
    pub cost_nanos: i64,
    /// Of this, of episodes that are not decided.
    pub pending_nanos: i64,
    /// Confirmed and assumed outcomes, whatever their contract's currency.
    pub won: i64,
    /// Charges less voids and corrections.
    pub revenue_nanos: i64,
    /// Revenue less cost; absent without either.
    pub margin_nanos: Option<i64>,
    /// What a decided attempt brought on average: outcomes won per attempt, times revenue per outcome won, less cost per
    /// attempt. Absent without a decided attempt.
    pub profit_per_attempt_nanos: Option<i64>,
}

impl Unit {
    /// Adds a sum; `None` where it does not fit.
    pub(crate) fn add(&mut self, bucket: Bucket, figures: &Figures) -> Option<()> {
        match bucket {
            Bucket::Pending | Bucket::Won | Bucket::Retry | Bucket::Free | Bucket::Lost => {
                count(&mut self.attempts, figures.attempts)?;
                count(&mut self.cost_nanos, figures.cost_nanos)?;
                if bucket == Bucket::Pending {
                    count(&mut self.pending_attempts, figures.attempts)?;
                    count(&mut self.pending_nanos, figures.cost_nanos)?;
                }
                Some(())
            }
            Bucket::Confirmed | Bucket::Assumed => count(&mut self.won, figures.outcomes),
            Bucket::Failed | Bucket::Void => Some(()),
            Bucket::Revenue => count(&mut self.revenue_nanos, figures.revenue_nanos),
        }
    }

    /// What comes of the sums.
    pub(crate) fn derive(&mut self) {
        if self.cost_nanos != 0 || self.revenue_nanos != 0 {
            self.margin_nanos = self.revenue_nanos.checked_sub(self.cost_nanos);
        }
        let decided = i128::from(self.attempts) - i128::from(self.pending_attempts);
        if self.margin_nanos.is_some() && decided > 0 {
            // p × V − c, where p = won / decided, V = revenue / won, c = their cost / decided: what is won cancels out.
            let brought =
                i128::from(self.revenue_nanos) - i128::from(self.cost_nanos) + i128::from(self.pending_nanos);
            self.profit_per_attempt_nanos = divide_half_away(brought, decided);
        }
    }
}

/// What Stripe takes of each payment, as the operator knows it: Verdict does not hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StripeFee {
    /// In hundredths of a per cent of revenue; `None`: it is not said.
    pub basis_points: Option<u32>,
}

impl StripeFee {
    /// Of so much revenue; what is negative costs no fee, and gives none back.
    pub fn of(self, revenue_nanos: i64) -> Option<i64> {
        let points = i128::from(self.basis_points?);
        divide_half_away(i128::from(revenue_nanos.max(0)) * points, 10_000)
    }
}

/// The figures of a row that need more than its sums.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Measured {
    /// The sums, and what comes of them.
    #[serde(flatten)]
    pub row: Row,
    /// Lost and retries; absent where the sum does not fit.
    pub failure_nanos: Option<i64>,
    /// Their part of the cost, in tenths of a per cent; absent without cost.
    pub failure_permille: Option<i64>,
    /// Stripe's fee of the revenue in `one_currency`, as it is configured; absent where none is.
    pub stripe_fee_nanos: Option<i64>,
    /// Of `one_currency`: all cost, and Stripe's fee where it is configured, over outcomes won and not taken back; absent
    /// without one.
    pub loaded_cost_nanos: Option<i64>,
    /// Of the outcomes that settled, those taken back, in tenths of a per cent; absent where none settled.
    pub void_permille: Option<i64>,
    /// What the pending episodes will bring, if they end as the decided ones did; absent with fewer than 30 decided.
    pub accrued_nanos: Option<i64>,
}

impl Measured {
    /// Measures a row.
    pub fn of(row: Row, fee: StripeFee) -> Self {
        let unit = &row.one_currency;
        let failures = i128::from(row.lost_nanos) + i128::from(row.retry_nanos);
        let stripe_fee_nanos = fee.of(unit.revenue_nanos);
        let loaded = i128::from(unit.cost_nanos) + i128::from(stripe_fee_nanos.unwrap_or(0));
        let has_money = unit.margin_nanos.is_some();
        let won = i128::from(row.confirmed) + i128::from(row.assumed);
        let settled = won + i128::from(row.void);
        let decided = settled + i128::from(row.failed);
        let has_price = row.revenue_nanos > 0 && won > 0 && decided >= i128::from(FEW);
        Self {
            failure_nanos: i64::try_from(failures).ok(),
            failure_permille: permille(failures, i128::from(row.cost_nanos)),
            stripe_fee_nanos: stripe_fee_nanos.filter(|_| has_money),
            loaded_cost_nanos: (has_money && unit.won > 0)
                .then(|| divide_half_away(loaded, i128::from(unit.won)))
                .flatten(),
            void_permille: permille(i128::from(row.void), settled),
            // Pending × (settled / decided) × (won / settled) × (revenue / won): settled and won cancel out.
            accrued_nanos: has_price
                .then(|| divide_half_away(i128::from(row.pending) * i128::from(row.revenue_nanos), decided))
                .flatten(),
            row,
        }
    }
}

/// A part of a whole in tenths of a per cent; none of a whole that is not positive.
pub(crate) fn permille(part: i128, whole: i128) -> Option<i64> {
    (whole > 0).then(|| divide_half_away(part.checked_mul(1_000)?, whole)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(attempts: i64, cost_nanos: i64) -> Figures {
        Figures { attempts, cost_nanos, ..Figures::default() }
    }

    fn outcomes(outcomes: i64) -> Figures {
        Figures { outcomes, ..Figures::default() }
    }

    fn unit(sums: &[(Bucket, Figures)]) -> Unit {
        let mut unit = Unit::default();
        for (bucket, figures) in sums {
            unit.add(*bucket, figures).unwrap();
        }
        unit.derive();
        unit
    }

    /// 8 of 20 decided attempts are won at 5 each, an attempt costs 1: 0.4 × 5 − 1 = 1. What is pending changes the
    /// margin, not the profit.
    #[test]
    fn the_expected_profit_is_of_decided_attempts() {
        let revenue = Figures { revenue_nanos: 40, ..Figures::default() };
        let decided = [
            (Bucket::Won, costs(8, 8)),
            (Bucket::Lost, costs(12, 12)),
            (Bucket::Confirmed, outcomes(6)),
            (Bucket::Assumed, outcomes(2)),
            (Bucket::Revenue, revenue),
        ];
        let all = [&decided[..], &[(Bucket::Pending, costs(5, 7)), (Bucket::Pending, outcomes(3))]].concat();
        let (decided, all) = (unit(&decided), unit(&all));
        assert_eq!((decided.profit_per_attempt_nanos, all.profit_per_attempt_nanos), (Some(1), Some(1)));
        assert_eq!((decided.margin_nanos, all.margin_nanos), (Some(20), Some(13)));
        assert_eq!(all.won, 8);
        let pending = unit(&[(Bucket::Pending, costs(5, 7))]);
        assert_eq!((pending.margin_nanos, pending.profit_per_attempt_nanos), (Some(-7), None));
        assert_eq!(unit(&[]).margin_nanos, None);
        assert_eq!(unit(&[(Bucket::Confirmed, outcomes(1))]).margin_nanos, None);
    }

    #[test]
    fn sums_that_do_not_fit_are_refused() {
        let mut unit = Unit::default();
        let most = costs(1, i64::MAX);
        assert_eq!([unit.add(Bucket::Won, &most), unit.add(Bucket::Won, &most)], [Some(()), None]);
    }

    fn row() -> Row {
        let sums = Unit {
            attempts: 40,
            cost_nanos: 3_000,
            won: 20,
            revenue_nanos: 100_000,
            margin_nanos: Some(97_000),
            ..Unit::default()
        };
        Row {
            confirmed: 15,
            assumed: 5,
            failed: 15,
            void: 5,
            pending: 8,
            revenue_nanos: 100_000,
            cost_nanos: 3_000,
            lost_nanos: 1_000,
            retry_nanos: 500,
            one_currency: sums,
            ..Row::default()
        }
    }

    /// 40 decided, 25 settled, 20 won at 5,000: 8 × 25/40 × 20/25 × 5,000 = 20,000.
    #[test]
    fn a_row_is_measured() {
        let measured = Measured::of(row(), StripeFee { basis_points: Some(290) });
        assert_eq!(measured.accrued_nanos, Some(20_000));
        assert_eq!(measured.void_permille, Some(200));
        assert_eq!((measured.failure_nanos, measured.failure_permille), (Some(1_500), Some(500)));
        // (3,000 + 2,900) / 20
        assert_eq!((measured.stripe_fee_nanos, measured.loaded_cost_nanos), (Some(2_900), Some(295)));
        let without = Measured::of(row(), StripeFee::default());
        assert_eq!((without.stripe_fee_nanos, without.loaded_cost_nanos), (None, Some(150)));
    }

    #[test]
    fn what_rests_on_too_little_is_absent() {
        let fee = StripeFee { basis_points: Some(290) };
        let few = Measured::of(Row { failed: 4, ..row() }, fee);
        assert_eq!(few.accrued_nanos, None, "29 are decided");
        assert_eq!(Measured::of(Row { revenue_nanos: -1, ..row() }, fee).accrued_nanos, None);
        assert_eq!(Measured::of(Row { revenue_nanos: 0, ..row() }, fee).accrued_nanos, None);
        let nothing = Measured::of(Row::default(), fee);
        assert_eq!((nothing.loaded_cost_nanos, nothing.stripe_fee_nanos), (None, None));
        assert_eq!(
            (nothing.void_permille, nothing.failure_permille, nothing.accrued_nanos),
            (None, None, None)
        );
    }

    #[test]
    fn a_fee_is_rounded_once_and_never_given_back() {
        let fee = StripeFee { basis_points: Some(290) };
        assert_eq!([100, -100, 0, 18, 17].map(|nanos| fee.of(nanos)), [3, 0, 0, 1, 0].map(Some));
        assert_eq!(fee.of(i64::MAX), Some(267_477_789_068_788_498));
        assert_eq!(StripeFee::default().of(100), None);
    }
}
