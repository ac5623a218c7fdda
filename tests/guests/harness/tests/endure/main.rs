//! Many components in one host that chance has made or damaged, or that are made to be
//! hard on whoever looks at them. In the suite a fixed number of seeds; see
//! `testkit::Torture` for the long form.

#![allow(clippy::panic, reason = "tests")]

mod bombs;
mod generated;
mod mutated;

use std::path::Path;
use std::sync::Arc;

use guest_tests::{Attempt, Stage};
use testkit::Torture;

/// Seeds in one stage before a fresh one is opened: the code cache keeps each component.
const SEEDS_OF_A_STAGE: u64 = 200;
/// Seeds between two looks at the neighbour.
const SEEDS_BETWEEN: u64 = 20;

/// Attempts each seed's component, and counts what became of it; `make` says whether the
/// component may describe itself too.
async fn attempt_each(torture: &mut Torture, make: impl Fn(u64) -> Option<(Vec<u8>, bool)>) {
    let (mut stage, mut in_stage) = (Arc::new(Stage::open().await), 0);
    while let Some(seed) = torture.next_seed() {
        if in_stage == SEEDS_OF_A_STAGE {
            (stage, in_stage) = (Arc::new(Stage::open().await), 0);
        }
        in_stage += 1;
        let Some((wasm, describe)) = make(seed) else {
            torture.count("no component");
            continue;
        };
        match stage.attempt(wasm, describe).await {
            Ok(Attempt { load, describe, call, wrote }) => {
                torture.count(&load);
                describe.into_iter().for_each(|describe| torture.count(&format!("describe: {describe}")));
                if let Some(call) = call {
                    torture.count("called");
                    torture.count(&format!("call: {call}"));
                }
                if wrote {
                    torture.count("call wrote");
                }
            }
            Err(why) => torture.fail(seed, why),
        }
        if in_stage % SEEDS_BETWEEN == 0 {
            stage.neighbour().await;
        }
    }
    stage.neighbour().await;
    assert_eq!((stage.receiver.connections(), stage.canary.connections()), (0, 0), "nobody was reached");
}

/// A component that `cargo xtask plugins` has built.
fn built(folder: &str, name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target").join(folder).join(format!("{name}.wasm"));
    std::fs::read(&file).unwrap_or_else(|error| {
        panic!("{folder}/{name}.wasm is not built ({error}): run cargo xtask test, which builds it")
    })
}
