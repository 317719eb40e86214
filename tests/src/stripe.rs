//! A double of Stripe that writes down its traffic, and the check of it against Stripe's own schema.

use std::path::{Path, PathBuf};
use std::process::Command;
use verdict_stripe_double::StripeDouble;

/// Starts a double whose traffic is written to a file of this name, in the folder of the builds.
pub fn recorded(name: &str) -> (StripeDouble, PathBuf) {
    let binary = std::env::current_exe().unwrap();
    // TARGET/debug/deps/TEST
    let target = binary.ancestors().nth(3).expect("built by cargo");
    let traffic = target.join("stripe-traffic").join(format!("{name}.jsonl"));
    (StripeDouble::start(Some(traffic.clone())), traffic)
}

/// Holds recorded traffic against Stripe's own schema, by a checker that is kept beside the repository.
pub fn check(traffic: &Path) {
    let checker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/stripe/check");
    if !checker.exists() {
        println!("not checked against Stripe's schema: {} is absent", checker.display());
        return;
    }
    let output = Command::new(checker).arg(traffic).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    println!("{}: {report}", traffic.display());
}
