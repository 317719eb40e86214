//! A month of believable traffic through the real doors, and what comes of it. Same seed, same figures, to the nano.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::path::Path;
use verdict_oracle::{DAY, HOUR, Plan, Resolution, generate, shuffle_and_duplicate};
use verdict_tests::service::{Service, Setup};

/// The demo: October 2026 of five customers.
#[derive(Parser)]
struct Arguments {
    /// Whether to serve the pages afterwards (1) or to end (0).
    #[arg(long, default_value = "1")]
    serve: u8,
    /// Another month.
    #[arg(long, default_value = "7")]
    seed: u64,
    /// How many events.
    #[arg(long, default_value = "12000")]
    events: usize,
}

/// 2026-10-01T00:00:00Z.
const START: i64 = 1_790_812_800_000_000;

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let plan = Plan { seed: arguments.seed, events: arguments.events, start: START, days: 31, customers: 5 };
    let mut traffic = generate(&plan);
    for attempt in &mut traffic.attempts {
        // The demo's seller pays its providers in dollars.
        if attempt.reported_cost.as_ref().is_some_and(|cost| cost.currency != "USD") {
            attempt.reported_cost = None;
            attempt.other_costs.clear();
        }
    }
    let folder = Path::new(".local/demo");
    let _ = std::fs::remove_dir_all(folder);
    let mut setup = Setup::new(&format!("sqlite:{}", folder.join("verdict.db").display()));
    setup.test_clock = Some(START);
    let mut service = Service::start(setup, folder).await;
    for contract in &traffic.contracts {
        service.post("/v1/contracts", &contract.to_json()).await;
    }

    // Each event arrives on the day it happened or up to two days later, some twice, in no order.
    let attempts = shuffle_and_duplicate(&traffic.attempts, plan.seed, 3);
    let resolutions = shuffle_and_duplicate(&traffic.resolutions, plan.seed, 3);
    let late = |nth: usize| if nth.is_multiple_of(17) { 2 } else { 0 };
    let day_of = |at: i64, nth: usize| at.saturating_sub(START).div_euclid(DAY) + late(nth);
    let last_day = 36;
    let style = "{spinner} {msg:22} [{bar:40}] {pos}/{len} events";
    let bar = ProgressBar::new((attempts.len() + resolutions.len()) as u64)
        .with_style(ProgressStyle::with_template(style).unwrap().progress_chars("=> "));
    for day in 0..=last_day {
        let now = START + (day + 1) * DAY;
        bar.set_message(format!("October, day {:2}", day + 1));
        service.move_clock(now).await;
        let of_day =
            |at: i64, nth: usize| day_of(at, nth) == day || (day == last_day && day_of(at, nth) > day);
        let today: Vec<Value> = (attempts.iter().enumerate())
            .filter(|(nth, attempt)| of_day(attempt.ended_at, *nth) && attempt.ended_at <= now + DAY)
            .map(|(_, attempt)| attempt.to_json())
            .collect();
        for batch in today.chunks(500) {
            service.post("/v1/attempts", &Value::Array(batch.to_vec())).await;
            bar.inc(batch.len() as u64);
        }
        let spoken: Vec<&Resolution> = (resolutions.iter().enumerate())
            .filter(|(nth, resolution)| {
                of_day(resolution.occurred_at, *nth) && resolution.occurred_at <= now + DAY
            })
            .map(|(_, resolution)| resolution)
            .collect();
        for resolution in spoken {
            assert!(service.try_resolution(resolution, now).await, "the service is away");
            bar.inc(1);
        }
    }
    // The month's end and its grace of three days are over: what is due is billed before this answers.
    service.move_clock(START + (last_day + 2) * DAY + HOUR).await;
    bar.finish_with_message("October is closed");

    println!();
    let span = ["--from", "2026-10-01", "--to", "2026-11-01"];
    for by in ["customer", "reason"] {
        println!("{}", service.command(&[&["report", "failure-cost"], &span[..], &["--by", by]].concat()));
    }
    println!("Invoices (no Stripe key is set: they stay here)\n");
    for invoice in service.get_json("/v1/invoices").await.as_array().unwrap() {
        let text = |field: &str| invoice[field].as_str().unwrap_or_default().to_string();
        let lines = invoice["lines"].as_array().unwrap().iter();
        let outcomes = lines.filter(|line| line["item"] == "outcomes");
        let quantity: i64 = outcomes.filter_map(|line| line["quantity"].as_i64()).sum();
        let (from, to) = (&text("period_start")[..16], &text("period_end")[..16]);
        println!(
            "  {:10} {from} to {to}  {quantity:6} outcomes  {:>12} {}",
            text("customer"),
            text("total"),
            text("currency")
        );
    }
    let parked = service.get_json("/v1/status").await["parked"].clone();
    println!("\nParked for a person: {parked}");
    if arguments.serve == 0 {
        service.kill();
        return;
    }
    println!("\nPages (until ctrl-c):");
    println!("  {}", service.url("/reports/failure-cost?from=2026-10-01&to=2026-11-01"));
    println!("  {}", service.url("/invoices"));
    println!("Log in with the key\n  {}", service.key);
    tokio::signal::ctrl_c().await.unwrap();
}
