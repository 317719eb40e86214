//! Distillation: from how many attempts a month on a small model of one's own pays, by the operator's assumptions.

use super::{LEAST_ATTEMPTS, add, overflow, too_few};
use crate::count::shown;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verdict_domain::money::{Money, divide_half_away};
use verdict_store::figures::{self, GroupBy, Slice};
use verdict_store::{Store, StoreError};

/// What the operator assumes of a small model. All money in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumed {
    /// What it costs a month, whatever it does: training, spread over its life, and hosting.
    pub monthly: Money,
    /// What one attempt of it costs besides.
    pub per_attempt: Money,
    /// Of 1,000 attempts, so many it would do as well as today's model.
    pub success_permille: i64,
    /// It would stand in for this model only.
    pub model: Option<String>,
    /// It would work toward this kind of outcome only.
    pub action: Option<String>,
}

/// From which volume on a small model of one's own pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Distillation {
    /// What it rests on, the operator's figures among it.
    pub assumptions: Vec<String>,
    /// Attempts that it would stand in for, whose cost is known in the currency of the assumptions.
    pub attempts: i64,
    /// Those whose cost is unknown or in another currency: left out.
    pub left_out: i64,
    /// What the models cost of those that are not left out.
    pub cost_nanos: i64,
    /// In which currency.
    pub currency: String,
    /// The same a month of 30 days, at the volume of these days.
    pub attempts_a_month: i64,
    /// From so many attempts a month on it pays; absent where it never does, or where it is refused.
    pub break_even: Option<i64>,
    /// What it would change of a month's cost at today's volume; negative: it would be cheaper. Absent where it is refused.
    pub month_nanos: Option<i64>,
    /// Why nothing is said.
    pub refused: Option<String>,
}

/// What the attempts cost that a small model would stand in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Today {
    pub attempts: i64,
    pub left_out: i64,
    pub cost_nanos: i64,
    pub days: i64,
}

pub(super) async fn distillation(
    store: &Store,
    of: &Slice,
    assumed: &Assumed,
) -> Result<Distillation, StoreError> {
    let of = Slice { model: assumed.model.clone(), action: assumed.action.clone(), ..of.clone() };
    let mut today = Today { days: of.to - of.from, ..Today::default() };
    for sum in figures::sums(store, &of, GroupBy::Model).await? {
        let figures = sum.figures;
        if sum.currency != assumed.monthly.currency.code() {
            add(&mut today.left_out, figures.attempts)?;
            continue;
        }
        add(&mut today.attempts, figures.attempts - figures.unknown_costs)?;
        add(&mut today.left_out, figures.unknown_costs)?;
        // Tools and other costs are spent as before.
        add(
            &mut today.cost_nanos,
            figures.cost_nanos.checked_sub(figures.other_cost_nanos).ok_or_else(overflow)?,
        )?;
    }
    break_even(today, assumed).ok_or_else(overflow)
}

/// Each attempt goes to the small model first, and those that it does not do as well go to today's model after all. With F a
/// month, s for an attempt of the small model, c for one of today's and p its success, an attempt saves p·c − s, and it pays
/// from F / (p·c − s) attempts on. `None`: it does not fit 64 bits.
pub(super) fn break_even(today: Today, assumed: &Assumed) -> Option<Distillation> {
    let Today { attempts, left_out, cost_nanos, days } = today;
    let (n, cost) = (i128::from(attempts), i128::from(cost_nanos));
    let (fixed, small, permille) = (
        i128::from(assumed.monthly.nanos),
        i128::from(assumed.per_attempt.nanos),
        i128::from(assumed.success_permille),
    );
    let refused = too_few("attempts whose cost is known", attempts, LEAST_ATTEMPTS);
    let attempts_a_month = divide_half_away(n * 30, i128::from(days.max(1)))?;
    // What n thousand attempts save.
    let saved = permille.checked_mul(cost)?.checked_sub(small.checked_mul(n)?.checked_mul(1_000)?)?;
    let (mut break_even, mut month_nanos) = (None, None);
    if refused.is_none() {
        if saved > 0 {
            let needed = fixed.checked_mul(n)?.checked_mul(1_000)?;
            // Rounded up: with one less it does not pay.
            break_even = Some(i64::try_from(needed / saved + i128::from(needed % saved != 0)).ok()?);
        }
        let month = saved.checked_mul(30)?;
        let saved_a_month = divide_half_away(month, i128::from(days.max(1)) * 1_000)?;
        month_nanos = Some(assumed.monthly.nanos.checked_sub(saved_a_month)?);
    }
    let only = |what: &str, name: &Option<String>| name.as_ref().map(|name| format!(" {what} `{name}`"));
    let scope: String = [only("of the model", &assumed.model), only("toward", &assumed.action)]
        .into_iter()
        .flatten()
        .collect();
    let assumptions = vec![
        format!("The small model stands in for all attempts{scope}."),
        format!(
            "It costs {} a month, whatever it does, and {} an attempt.",
            assumed.monthly, assumed.per_attempt
        ),
        format!(
            "It does {}.{} % of the attempts as well as today's model; the others are made by today's model after all, at today's \
             average cost. Who finds out which, and at what cost, is not counted.",
            assumed.success_permille / 10,
            assumed.success_permille % 10
        ),
        "These are the operator's assumptions: nothing here has tested them.".into(),
        format!(
            "Today's cost is the known cost of models, {} of {attempts} attempts in {days} days; a month has 30.",
            shown(cost_nanos, assumed.monthly.currency.code())
        ),
    ];
    Some(Distillation {
        assumptions,
        attempts,
        left_out,
        cost_nanos,
        currency: assumed.monthly.currency.code().into(),
        attempts_a_month,
        break_even,
        month_nanos,
        refused,
    })
}
