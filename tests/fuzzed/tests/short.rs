//! Every fuzzed function on random bytes, the same for a seed, for as long as asked.
//!
//! What fails is printed as bytes, which `cargo fuzz run --fuzz-dir tests/fuzz` takes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use testkit::{Seeded, Torture};

/// Executions of one seed.
const EXECUTIONS: usize = 100;
/// Inputs from 0 to so many bytes: enough to choose a document and change it six times.
const INPUT_BYTES_MAX: usize = 160;

fn run(name: &'static str, function: fn(&[u8]), seeds: u64) {
    let mut torture = Torture::new(name, seeds);
    torture.each(|torture, seed| {
        let mut random = Seeded::new(seed);
        for number in 0..EXECUTIONS {
            let len = random.below(INPUT_BYTES_MAX + 1);
            let input = random.bytes(len);
            torture.count("executions");
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| function(&input))) {
                let digits: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
                println!("{name}, seed {seed}, execution {number}: {digits}");
                resume_unwind(payload);
            }
        }
    });
    torture.finish();
}

#[test]
fn tortured_policies() {
    run("tortured_policies", fuzzed::policy, 200);
}

#[test]
fn tortured_hosts() {
    run("tortured_hosts", fuzzed::host, 200);
}

#[test]
fn tortured_manifests() {
    run("tortured_manifests", fuzzed::manifest, 40);
}

#[test]
fn tortured_flows() {
    run("tortured_flows", fuzzed::flow, 60);
}

#[test]
fn tortured_webhooks() {
    run("tortured_webhooks", fuzzed::webhook, 150);
}

#[test]
fn tortured_journals() {
    run("tortured_journals", fuzzed::journal, 40);
}
