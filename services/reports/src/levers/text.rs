//! The levers as text for a terminal.

use super::{Cached, Levers, Model, Routed};
use crate::count::shown;
use crate::rate::Rate;
use std::fmt::Write;

/// The levers in words and figures.
pub fn text(levers: &Levers) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write(&mut text, levers);
    text
}

fn write(to: &mut String, levers: &Levers) -> std::fmt::Result {
    let whose = levers.customer.as_ref().map_or("all customers".into(), |name| format!("customer {name}"));
    writeln!(to, "Levers, {} to {} (UTC, end excluded), {whose}", levers.from, levers.to)?;
    writeln!(to, "As of {}; {} attempts\n", levers.as_of, levers.attempts)?;

    writeln!(to, "CACHING: a floor, not a forecast")?;
    assumptions(to, &levers.caching.assumptions)?;
    for cached in std::iter::once(&levers.caching.all).chain(&levers.caching.customers) {
        writeln!(to, "  {}", caching(cached))?;
    }
    if levers.caching.more_customers > 0 {
        writeln!(to, "  and {} more customers, in the sum", levers.caching.more_customers)?;
    }

    writeln!(to, "\nROUTING: arithmetic, says nothing about success")?;
    assumptions(to, &levers.routing.assumptions)?;
    for routed in &levers.routing.routes {
        routing(to, routed)?;
    }
    if levers.routing.more_attempts > 0 {
        writeln!(to, "  and {} attempts of more models", levers.routing.more_attempts)?;
    }

    let Some(distillation) = &levers.distillation else { return Ok(()) };
    writeln!(to, "\nDISTILLATION: by your assumptions")?;
    assumptions(to, &distillation.assumptions)?;
    writeln!(to, "  {} attempts, {} left out", distillation.attempts, distillation.left_out)?;
    if let Some(refused) = &distillation.refused {
        return writeln!(to, "  refused: {refused}");
    }
    match distillation.break_even {
        Some(volume) => writeln!(
            to,
            "  pays from {volume} attempts a month; today there are {}",
            distillation.attempts_a_month
        )?,
        None => writeln!(to, "  never pays: an attempt of it costs as much as it saves, or more")?,
    }
    if let Some(nanos) = distillation.month_nanos {
        let currency = &distillation.currency;
        writeln!(to, "  at today's volume it would change a month's cost by {}", shown(nanos, currency))?;
    }
    Ok(())
}

fn assumptions(to: &mut String, assumptions: &[String]) -> std::fmt::Result {
    assumptions.iter().try_for_each(|assumption| writeln!(to, "  - {assumption}"))
}

/// A customer's cache, in a line.
fn caching(cached: &Cached) -> String {
    let whose = if cached.customer.is_empty() { "all" } else { &cached.customer };
    let counts = format!(
        "{whose}: {} attempts, {} with a fingerprint, {} repeats of {} prompts",
        cached.attempts, cached.with_fingerprint, cached.repeats, cached.prompts
    );
    if let Some(refused) = &cached.refused {
        return format!("{counts}; refused: {refused}");
    }
    let saved: Vec<String> = cached.saved_nanos.iter().map(|(code, nanos)| shown(*nanos, code)).collect();
    let saved = if saved.is_empty() { "nothing known".into() } else { saved.join(", ") };
    let unknown = match cached.unknown_costs {
        0 => String::new(),
        count => format!(", and the unknown cost of {count}"),
    };
    format!("{counts}; at least {saved}{unknown} would have been saved")
}

fn routing(to: &mut String, routed: &Routed) -> std::fmt::Result {
    writeln!(
        to,
        "  {} toward {}: {} attempts ({} without tokens, {} without a price), success {}",
        name(&routed.model),
        routed.action,
        routed.attempts,
        routed.without_tokens,
        routed.without_price,
        rate(routed.success)
    )?;
    if let Some(refused) = &routed.refused {
        return writeln!(to, "    refused: {refused}");
    }
    if routed.cheaper.is_empty() {
        writeln!(to, "    none of the others is cheaper")?;
    }
    for other in &routed.cheaper {
        writeln!(
            to,
            "    on {}: {} instead of {} for {} attempts; success {}",
            name(&other.model),
            shown(other.then_nanos, &other.currency),
            shown(other.now_nanos, &other.currency),
            other.attempts,
            rate(other.success)
        )?;
    }
    Ok(())
}

fn name(model: &Model) -> String {
    format!("{}/{}", model.provider, model.model)
}

fn rate(rate: Option<Rate>) -> String {
    rate.map_or("unknown".into(), |rate| {
        format!("{} ({}, of {})", rate.shown(), rate.interval(), rate.decided)
    })
}
