//! The double of Stripe as a program.

use std::path::PathBuf;

use clap::Parser;
use verdict_stripe_double::StripeDouble;

/// A double of the part of Stripe that Verdict uses.
#[derive(Parser)]
struct Options {
    /// The port to listen on; a free one if 0.
    #[arg(long, default_value_t = 12111)]
    port: u16,
    /// Record all traffic to this file, one call a line.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let double = StripeDouble::bind(options.port, options.record)?;
    println!("listening on {}", double.base_url);
    loop {
        std::thread::park();
    }
}
