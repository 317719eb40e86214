//! Which outcomes of a period are resolved, charged at a list price and still not billed: a pure function of the outcomes that
//! stand. `docs/RULES.md` ("Which outcomes are free") is the definition.

use super::{Counts, Tally, come_to, included};
use crate::attempt::stored_as_text;
use crate::contract::{Contract, Price};
use crate::invoice::parts;
use crate::judge::WinKind;
use crate::money::{self, MoneyError};
use crate::period::Period;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Why an outcome that stands is not billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Free {
    /// Its period is a trial.
    Trial,
    /// It is one of those that its price includes.
    Included,
    /// The ones before it come to the cap already.
    Cap,
    /// Its price is 0.
    ZeroPrice,
}

stored_as_text!(Free { Trial = "trial", Included = "included", Cap = "cap", ZeroPrice = "zero_price" });

/// A charge that nothing took back. The order of these is the one in which they are gone through: by the first three fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// When it settled.
    pub effective_at: Timestamp,
    /// The case.
    pub case: String,
    /// Its episode.
    pub episode: String,
    /// The contract version that priced it.
    pub contract_version: u32,
    /// What kind of outcome.
    pub action: String,
    /// Confirmed or assumed.
    pub win: WinKind,
    /// The list price, in nanos.
    pub listed: i64,
}

/// Whether any of these versions can leave an outcome that it prices unbilled: the others' outcomes need not be looked at.
pub fn may_be_free(versions: &[Contract]) -> bool {
    versions.iter().any(|version| version.shadow) || has_free(versions)
}

/// The same, in periods that are no trials.
pub fn has_free(versions: &[Contract]) -> bool {
    let is_free = |price: &Price| {
        price.included > 0
            || [WinKind::Confirmed, WinKind::Assumed].iter().any(|win| price.may_be_nothing(*win))
    };
    versions.iter().any(|version| version.cap.is_some() || version.prices.iter().any(is_free))
}

/// Whether an outcome costs nothing, however many there are.
pub(super) fn costs_nothing(contract: &Contract, outcome: &Standing) -> bool {
    let price = contract.prices.iter().find(|price| price.action == outcome.action);
    price.is_some_and(|price| match &price.share {
        Some(_) => outcome.listed == 0,
        None => price.may_be_nothing(outcome.win),
    })
}

/// Which of the outcomes that stand in a period (that is no trial) are free, place by place: their order is no input.
/// `versions` are all of the contract's.
pub fn free(
    versions: &[Contract],
    period: Period,
    outcomes: &[Standing],
) -> Result<Vec<Option<Free>>, MoneyError> {
    let mut free = vec![None; outcomes.len()];
    let mut in_order: Vec<usize> = (0..outcomes.len()).collect();
    in_order.sort_by_key(|at| &outcomes[*at]);
    for (contract, part) in parts(versions, period) {
        let is_own = |at: &&usize| outcomes[**at].contract_version == contract.version;
        let own: Vec<usize> = in_order.iter().filter(is_own).copied().collect();
        let mut counts = Counts::default();
        for at in &own {
            count(&mut counts, &outcomes[*at], 1)?;
        }
        for price in contract.prices.iter().filter(|price| price.included > 0) {
            let (confirmed, assumed) = included(price, &counts);
            for (win, included) in [(WinKind::Confirmed, confirmed), (WinKind::Assumed, assumed)] {
                let of_price =
                    |at: &&usize| outcomes[**at].action == price.action && outcomes[**at].win == win;
                let first = own.iter().filter(of_price).take(usize::try_from(included).unwrap_or_default());
                first.for_each(|at| free[*at] = Some(Free::Included));
            }
        }
        let cap = contract.cap.as_ref().filter(|_| part.in_force > 0);
        let cap = cap.map(|cap| part.prorate(money::parse_nanos(cap)?)).transpose()?;
        if let Some(cap) = cap
            && come_to(contract, &counts)? >= cap
        {
            // From the last one on: each of which the ones before it come to the cap already.
            for at in own.iter().rev() {
                if free[*at].is_some() {
                    continue;
                }
                count(&mut counts, &outcomes[*at], -1)?;
                if come_to(contract, &counts)? < cap {
                    break;
                }
                free[*at] = Some(Free::Cap);
            }
        }
        for at in own {
            if free[at].is_none() && costs_nothing(contract, &outcomes[at]) {
                free[at] = Some(Free::ZeroPrice);
            }
        }
    }
    Ok(free)
}

/// Adds an outcome to the counts, or (`sign` -1) takes it off.
fn count(counts: &mut Counts, outcome: &Standing, sign: i64) -> Result<(), MoneyError> {
    let tally = counts.outcomes.entry((outcome.action.clone(), outcome.win)).or_default();
    let listed = outcome.listed.checked_mul(sign).ok_or(MoneyError::Overflow)?;
    *tally = tally.plus(Tally { quantity: sign, listed, value: 0 }).ok_or(MoneyError::Overflow)?;
    Ok(())
}
