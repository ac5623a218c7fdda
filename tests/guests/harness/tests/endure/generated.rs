//! Core modules that chance has made: valid, and without sense. They come to run in
//! three ways. Alone, a module is a connector with arbitrary code behind each of the
//! contract's functions, the allocator too. Behind `relay.wat` its allocator is sane, so
//! that the host finds room for the arguments and its own answers, and reads arbitrary
//! ones. Behind `shell.wat` it is a library of a connector that is well. Both say when a
//! call has come to the module's code.

use std::convert::Infallible;

use arbitrary::Unstructured;
use guest_tests::{describing, try_connector, try_linked};
use testkit::{Seeded, Torture};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_smith::{Config, Module};
use wasmparser::Parser;

use crate::attempt_each;

/// Most of the time is the compiler's.
const SEEDS: u64 = 200;
/// What chance is fed with: enough for modules of some thousand instructions.
const BYTES: usize = 32 << 10;
/// Loop turns and calls of a module that ends by itself.
const FUEL: u32 = 10_000;

/// What a connector exports.
const CONNECTOR: &str = r#"
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "sluicegate:connector/manifest@0.1.0#describe") (result i32) unreachable)
    (func (export "sluicegate:connector/actions@0.1.0#invoke") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "cabi_post_sluicegate:connector/actions@0.1.0#invoke") (param i32) unreachable)"#;

/// What hosts offer: interface, function, and its type when lowered.
const OFFERED: [(&str, &str, &str); 9] = [
    ("fetch", "send", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("log", "write", "(param i32 i32 i32 i32 i32)"),
    ("context", "current", "(param i32)"),
    ("context", "remaining-ms", "(result i64)"),
    ("files", "list", "(param i32 i32 i32)"),
    ("files", "read", "(param i32 i32 i64 i32 i32)"),
    ("files", "write", "(param i32 i32 i32 i32 i32)"),
    ("state", "get", "(param i32 i32 i32)"),
    ("state", "compare-and-set", "(param i32 i32 i32 i64 i32 i32 i32)"),
];

/// What the relay calls; what hosts offer, it offers under names of its own. Here and
/// below, `begin` may become what runs at the start.
const RELAYED: &str = r#"
    (import "env" "memory" (memory 1))
    (func (export "describe") (result i32) unreachable)
    (func (export "invoke") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "post") (param i32) unreachable)
    (func (export "begin") unreachable)"#;

/// What the shell offers, and what it calls.
const SHELLED: &str = r#"
    (import "env" "memory" (memory 1))
    (import "env" "say" (func (param i32 i32)))
    (import "env" "ask" (func (param i32 i32) (result i32)))
    (import "env" "read" (func (param i32 i64) (result i32)))
    (import "env" "send" (func (param i32 i32) (result i32)))
    (func (export "go") (param i32 i64 f32 f64) (result i32) unreachable)
    (func (export "begin") unreachable)"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tortured_generated_modules() {
    let mut torture = Torture::new("generated-modules", SEEDS);
    attempt_each(&mut torture, generate).await;
    if !torture.is_long() {
        let least = [
            ("loaded", SEEDS * 4 / 5, "too few were accepted"),
            ("called", SEEDS / 2, "too few were called"),
            // Of four seeds, three say when a call has begun, and two describe themselves.
            ("call wrote", SEEDS / 2, "too few have run"),
            ("describe: described", SEEDS / 4, "too few have described themselves"),
            ("call: answered", 1, "none came to an end"),
            ("call: crashed", 1, "none broke off"),
        ];
        for (what, least, otherwise) in least {
            assert!(torture.counted(what) >= least, "{otherwise}: {torture:?}");
        }
    }
    torture.finish();
}

/// The seed's component, and whether it may describe itself: code that chance has made
/// does only if it ends by itself.
fn generate(seed: u64) -> Option<(Vec<u8>, bool)> {
    let mut chance = Seeded::new(seed);
    let ends = chance.chance(0.8);
    let component = match seed % 4 {
        0 => {
            let imports = offered(|interface, name, ty| format!("(import {interface:?} {name:?} (func {ty}))"));
            let imports = if chance.chance(0.8) { &imports } else { "" };
            try_connector(module(&mut chance, &[imports, CONNECTOR], ends)?)
        }
        1 => {
            let imports = offered(|interface, name, ty| format!("(import \"env\" \"{interface}#{name}\" (func {ty}))"));
            try_linked(relay(), &module(&mut chance, &[&imports, RELAYED], ends)?)
        }
        _ => try_linked(shell(&mut chance), &module(&mut chance, &[SHELLED], ends)?),
    };
    Some((component.ok()?, ends || seed % 4 > 1))
}

/// All functions that hosts offer, each written by `write` from interface, name and type.
fn offered(write: impl Fn(&str, &str, &str) -> String) -> String {
    let full = |(interface, name, ty)| write(&format!("sluicegate:connector/{interface}@0.1.0"), name, ty);
    OFFERED.into_iter().map(full).collect()
}

/// A module with these imports and exports.
fn module(chance: &mut Seeded, shape: &[&str], ends: bool) -> Option<Vec<u8>> {
    let config = Config {
        module_shape: Some(binary(&format!("(module {})", shape.concat()))),
        allow_start_export: ends && chance.chance(0.25),
        disallow_traps: chance.chance(0.5),
        max_instructions: 300,
        min_types: 4,
        min_funcs: 4,
        max_funcs: 24,
        min_globals: 2,
        min_tables: 1,
        max_tables: 4,
        max_table_elements: 10_000,
        min_element_segments: 1,
        max_element_segments: 4,
        min_data_segments: 1,
        max_data_segments: 4,
        // The 16 MiB that a call is granted have room for all of it.
        max_memories: 2,
        max_memory32_bytes: 2 << 20,
        // What the engine does not speak.
        threads_enabled: false,
        memory64_enabled: false,
        gc_enabled: false,
        exceptions_enabled: false,
        ..Config::default()
    };
    let fed = chance.bytes(BYTES);
    let mut module = Module::new(config, &mut Unstructured::new(&fed)).ok()?;
    if ends {
        module.ensure_termination(FUEL).ok()?;
    }
    let mut spoken = wasm_encoder::Module::new();
    OnlyFunctions.parse_core_module(&mut spoken, Parser::new(0), &module.to_bytes()).expect("a valid module");
    Some(spoken.finish())
}

/// Makes every `externref` a `funcref`. An engine without a garbage collector has no
/// others, and the generator makes either both or none: a module with the one in any
/// type or local is refused whole. What was valid stays so, since nothing tells one
/// from the other but its name.
struct OnlyFunctions;

impl Reencode for OnlyFunctions {
    type Error = Infallible;

    fn abstract_heap_type(
        &mut self,
        value: wasmparser::AbstractHeapType,
    ) -> Result<wasm_encoder::AbstractHeapType, Error<Infallible>> {
        Ok(match value {
            wasmparser::AbstractHeapType::Extern => wasm_encoder::AbstractHeapType::Func,
            other => utils::abstract_heap_type(self, other),
        })
    }
}

/// The connector around a library whose answers are the connector's.
fn relay() -> Vec<u8> {
    let passed = offered(|interface, name, ty| {
        format!("(func ${interface}#{name} (export \"{interface}#{name}\") (import {interface:?} {name:?}) {ty})")
    });
    binary(&include_str!("relay.wat").replace("(;offered;)", &passed))
}

/// The connector around a library that it calls with some arguments.
fn shell(chance: &mut Seeded) -> Vec<u8> {
    let [word, long, single, double] = [(); 4].map(|()| chance.number());
    let arguments = format!(
        "(i32.const {}) (i64.const {long}) (f32.reinterpret_i32 (i32.const {})) (f64.reinterpret_i64 (i64.const {double}))",
        word as u32, single as u32,
    );
    let text = include_str!("shell.wat").replace("(;manifest;)", &describing("generated"));
    binary(&text.replace("(;arguments;)", &arguments))
}

fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a module")
}
