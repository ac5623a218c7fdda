//! Core modules that chance has made, with the exports of a connector and the imports of
//! the contract: valid, and without sense.

use arbitrary::Unstructured;
use guest_tests::try_connector;
use testkit::{Seeded, Torture};
use wasm_smith::{Config, Module};

use crate::attempt_each;

/// A minute in the suite, most of it for the compiler.
const SEEDS: u64 = 200;
/// What chance is fed with: enough for modules of some hundred instructions.
const BYTES: usize = 8 << 10;
/// Loop turns and calls of a module that ends by itself.
const FUEL: u32 = 10_000;

/// What a connector exports.
const EXPORTS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "sluicegate:connector/manifest@0.1.0#describe") (result i32) unreachable)
    (func (export "sluicegate:connector/actions@0.1.0#invoke") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "cabi_post_sluicegate:connector/actions@0.1.0#invoke") (param i32) unreachable))"#;

/// What hosts offer, lowered.
const IMPORTS: &str = r#"(module
    (import "sluicegate:connector/fetch@0.1.0" "send"
        (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "sluicegate:connector/log@0.1.0" "write" (func (param i32 i32 i32 i32 i32)))
    (import "sluicegate:connector/context@0.1.0" "current" (func (param i32)))
    (import "sluicegate:connector/context@0.1.0" "remaining-ms" (func (result i64)))
    (import "sluicegate:connector/files@0.1.0" "list" (func (param i32 i32 i32)))
    (import "sluicegate:connector/files@0.1.0" "read" (func (param i32 i32 i64 i32 i32)))
    (import "sluicegate:connector/files@0.1.0" "write" (func (param i32 i32 i32 i32 i32)))
    (import "sluicegate:connector/state@0.1.0" "get" (func (param i32 i32 i32)))
    (import "sluicegate:connector/state@0.1.0" "compare-and-set" (func (param i32 i32 i32 i64 i32 i32 i32))))"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tortured_generated_modules() {
    let mut torture = Torture::new("generated-modules", SEEDS);
    attempt_each(&mut torture, generate).await;
    let (tried, loaded) =
        (torture.counted("loaded") + torture.counted("component-malformed"), torture.counted("loaded"));
    assert!(torture.is_long() || (loaded > SEEDS / 4 && tried <= SEEDS), "{torture:?}: too few were worth trying");
    torture.finish();
}

/// The seed's component, and whether it ends by itself, so that it may describe itself.
fn generate(seed: u64) -> Option<(Vec<u8>, bool)> {
    let mut chance = Seeded::new(seed);
    let (ends, imports) = (chance.chance(0.8), chance.chance(0.8));
    let fed = chance.bytes(BYTES);
    let text = |text: &str| Some(wat::parse_str(text).expect("a module"));
    let config = Config {
        exports: text(EXPORTS),
        available_imports: if imports { text(IMPORTS) } else { text("(module)") },
        max_memories: 2,
        max_tables: 4,
        max_instructions: 400,
        max_table_elements: 70_000,
        // What the engine does not speak.
        threads_enabled: false,
        memory64_enabled: false,
        gc_enabled: false,
        exceptions_enabled: false,
        ..Config::default()
    };
    let mut module = Module::new(config, &mut Unstructured::new(&fed)).ok()?;
    if ends {
        module.ensure_termination(FUEL).ok()?;
    }
    try_connector(module.to_bytes()).ok().map(|component| (component, ends))
}
