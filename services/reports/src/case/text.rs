//! An explanation for a terminal.

use super::view::{AmountView, AttemptView, CostChangeView, Explanation};
use super::words::time;
use std::fmt::Write;

/// The explanation as lines of text.
pub fn text(case: &Explanation) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, case);
    text
}

fn money(amount: &AmountView) -> String {
    format!("{} {}", amount.amount, amount.currency)
}

/// What the model cost when the attempt was recorded, and by which book.
pub(crate) fn recorded_as(attempt: &AttemptView) -> String {
    match (&attempt.recorded_model_cost, &attempt.price_source) {
        (Some(cost), Some(source)) => format!("recorded as {} by {source}", money(cost)),
        (Some(cost), None) => format!("recorded as {}", money(cost)),
        (None, _) => "recorded as unknown".into(),
    }
}

/// What a repricing changed of it.
pub(crate) fn changed_by(change: &CostChangeView) -> String {
    let sign = if change.difference.nanos < 0 { "" } else { "+" };
    format!(
        "repriced by {sign}{} by {} on {} by `{}`",
        money(&change.difference),
        change.price_source,
        time(change.at),
        change.by
    )
}

fn write(to: &mut String, case: &Explanation) -> std::fmt::Result {
    writeln!(to, "Case `{}` of `{}`: {}", case.case, case.customer, case.verdict)?;
    match case.contract_version {
        Some(version) => {
            writeln!(to, "Judged {} by the rule of contract version {version}", time(case.judged_at))?
        }
        None => writeln!(to, "Judged {} by the default rule: no contract covers it", time(case.judged_at))?,
    }
    if case.waits {
        writeln!(to, "New facts or outcomes wait: what is held may change in a moment.")?;
    }
    for episode in &case.episodes {
        writeln!(to, "\nEpisode `{}`\n  {}", episode.held.name, episode.sentence)?;
        for dispute in &episode.disputes {
            writeln!(to, "  Dispute `{}` ({}): {}", dispute.id, dispute.state, dispute.sentence)?;
        }
    }
    writeln!(to, "\nWhat was recorded")?;
    for event in &case.timeline {
        let strength = event.strength.map(|strength| format!(" [{strength}]")).unwrap_or_default();
        writeln!(to, "  {}  {}{strength}  `{}`", time(event.at), event.what, event.id)?;
        if let Some(reason) = &event.reason {
            writeln!(to, "      \"{reason}\"")?;
        }
        if let Some(author) = &event.author {
            writeln!(to, "      by `{author}`")?;
        }
        if let Some(evidence) = &event.evidence {
            writeln!(to, "      evidence {evidence}")?;
        }
        if let Some(attempt) = &event.attempt {
            let model = attempt.model_cost.as_ref().map_or_else(|| "unknown".into(), money);
            writeln!(
                to,
                "      {} {}: model cost {model}, other {}",
                attempt.provider,
                attempt.model,
                money(&attempt.other_cost)
            )?;
            if !attempt.cost_changes.is_empty() {
                writeln!(to, "      {}", recorded_as(attempt))?;
            }
            for change in &attempt.cost_changes {
                writeln!(to, "      {}", changed_by(change))?;
            }
        }
    }
    writeln!(to, "\nWhat was billed")?;
    for row in &case.billed {
        let amount = row
            .amount
            .as_ref()
            .map_or_else(|| "no price".into(), |amount| format!("list price {}", money(amount)));
        let invoice = match (&row.invoice, &row.line) {
            (Some(id), Some(line)) => format!(
                "line {} of invoice `{id}`: {} for {} ({})",
                line.number,
                line.quantity,
                money(&line.amount),
                line.why
            ),
            (Some(id), None) => format!("invoice `{id}`, where nothing is left of it and others like it"),
            (None, _) if row.nothing_to_bill => "nothing to bill in its period".into(),
            (None, _) => "no invoice yet".into(),
        };
        let worth = row.value.as_ref().map_or_else(String::new, |value| format!(", worth {}", money(value)));
        writeln!(
            to,
            "  {}. {} of `{}`, {}, {}{worth}: {amount}, {invoice}",
            row.seq,
            row.entry,
            row.episode,
            row.kind,
            time(row.effective_at)
        )?;
    }
    let sums: Vec<String> = case.billed_sums.iter().map(money).collect();
    writeln!(
        to,
        "  in sum, at list prices: {}",
        if sums.is_empty() { "nothing".into() } else { sums.join(", ") }
    )?;
    writeln!(to, "\nWhat it cost")?;
    for cost in &case.costs {
        let unknown = match cost.unknown_cost_attempts {
            0 => String::new(),
            unknown => format!("; the model cost of {unknown} is unknown and not in it"),
        };
        writeln!(to, "  {} for {} attempts{unknown}", money(&cost.known), cost.attempts)?;
    }
    if let Some(margin) = &case.margin {
        writeln!(
            to,
            "  margin at list prices {}{}",
            money(margin),
            if case.has_unknown_costs() { " at most" } else { "" }
        )?;
    }
    Ok(())
}
