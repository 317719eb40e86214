//! What each figure says: one list, of which the pages take their words and docs/FIGURES.md its table.

/// What a figure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Its anchor on the page of definitions.
    pub id: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// What it says, and what it leaves out.
    pub text: &'static str,
}

/// All figures of the overview and of the pages of groups, in the order of the page of definitions.
pub const DEFINITIONS: [Definition; 21] = [
    of(
        "revenue",
        "Revenue",
        "Charges less those taken back, on the day they take effect; and for each invoiced period what its lines differ from list prices (tiers, fees, minimum, cap, discount, usage, drawn credits), on its last day. Without tax.",
    ),
    of(
        "cost",
        "Cost",
        "What the attempts cost that ended in these days, failures included. What is unknown is not in it, nor is a person's work.",
    ),
    of(
        "failure-cost",
        "Cost of failures",
        "Lost and retries together: the attempts of episodes that failed or were taken back, and the failed attempts of those that were won.",
    ),
    of("lost", "Lost", "Attempts of episodes that failed, or whose outcome was taken back but by a dispute."),
    of("retries", "Retries", "Failed attempts of charged episodes that were won in the end."),
    of(
        "margin",
        "Margin",
        "Revenue less cost, of the customers whose money in these days is in one currency. Where the cost of an attempt is unknown, it is at most that.",
    ),
    of("loss-making", "Loss-making", "A margin below zero: in these days it cost more than it brought."),
    of(
        "success",
        "Success rate",
        "Confirmed and assumed outcomes among all that are decided: these, failed and void ones, in all currencies. Beside it the interval that holds the true rate in 95 of 100 cases (Wilson); with fewer than 30 decided it says little, and is marked.",
    ),
    of("confirmed", "Confirmed", "Outcomes that somebody affirmed, on the day they settled."),
    of("assumed", "Assumed", "Outcomes that nobody complained of, on the day they settled."),
    of("failed", "Failed", "Episodes that were not won, on the day that was decided."),
    of(
        "void",
        "Void",
        "Outcomes that had settled and were taken back, on the day of that. They are no wins any more.",
    ),
    of("void-rate", "Void rate", "Void outcomes among all that settled: confirmed, assumed and void."),
    of("pending", "Pending", "Episodes that are not decided yet, on the day of their last attempt."),
    of("attempts", "Attempts", "All attempts, on the day they ended."),
    of(
        "unknown",
        "Cost unknown",
        "Attempts whose model cost is unknown: not reported, and the price book has no price for it. It is in no sum, and not zero.",
    ),
    of(
        "resolution-cost",
        "Cost per resolution",
        "Cost over confirmed and assumed outcomes of the group, in all currencies.",
    ),
    of(
        "stripe-fee",
        "Stripe's fee",
        "Revenue times the share that the configuration says (`stripe_fee_basis_points`): an assumption, since no fee is booked here. Where none is configured, figures are without it.",
    ),
    of(
        "loaded-cost",
        "Fully loaded cost per outcome",
        "All cost of attempts, failures and pending ones included, and Stripe's fee, over confirmed and assumed outcomes that were not taken back; of the customers whose money is in one currency.",
    ),
    of(
        "profit",
        "Expected profit per attempt",
        "p × V − c over the attempts that are decided: outcomes won per attempt, times revenue per outcome won, less cost per attempt; of the customers whose money is in one currency. Pending attempts are left out, with their cost.",
    ),
    of(
        "accrual",
        "Pending accrual",
        "What pending episodes will bring if they end as the decided ones of these days did: pending × share that settles × (1 − void rate) × revenue per outcome. An estimate, on no invoice; too few with fewer than 30 decided.",
    ),
];

const fn of(id: &'static str, name: &'static str, text: &'static str) -> Definition {
    Definition { id, name, text }
}

/// The definition of a figure.
pub(crate) fn definition(id: &str) -> Definition {
    let found = DEFINITIONS.iter().find(|definition| definition.id == id);
    debug_assert!(found.is_some(), "{id} is not defined");
    found.copied().unwrap_or(of("", "", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table under "Definitions" in the document has each figure, in the same words, and no other.
    #[test]
    fn the_document_and_the_list_are_the_same() {
        let document = include_str!("../../../docs/FIGURES.md");
        let table = document.split("\n## Definitions\n").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| **")).collect();
        let expected: Vec<String> = DEFINITIONS
            .iter()
            .map(|definition| format!("| **{}** | {} |", definition.name, definition.text))
            .collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn each_figure_is_defined_once() {
        let mut ids = DEFINITIONS.map(|definition| definition.id);
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
        assert!(DEFINITIONS.iter().all(|one| definition(one.id) == *one && !one.text.contains('|')));
    }
}
