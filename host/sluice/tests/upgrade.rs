//! Several components of one id: which one is approved is told wherever another is
//! looked at, and decisions name one of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "each test binary uses a part")]
mod bench;

use std::fs;

use bench::Bench;
use model::Digest;

/// A connector that does nothing but describe itself. What it is for sets its bytes apart.
fn component(id: &str, version: &str, purpose: &str) -> Vec<u8> {
    let manifest = serde_json::json!({
        "manifest_version": 1, "id": id, "version": version, "label": "Acme", "publisher": "Acme", "license": "MIT",
        "support": { "owner": "Acme", "contact": "a@acme.example", "policy": "none" },
        "purpose": purpose, "data": "None."
    });
    let manifest = manifest.to_string();
    let head = [8_u32.to_le_bytes(), u32::try_from(manifest.len()).unwrap().to_le_bytes()].concat();
    let bytes = head.iter().chain(manifest.as_bytes());
    let data: String = bytes.map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (data (i32.const 0) "{data}")
                (func (export "describe") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func $describe (result string) (canon lift (core func $i "describe") (memory (core memory $i "memory"))))
            (instance $manifest (export "describe" (func $describe)))
            (export "sluicegate:connector/manifest@0.1.0" (instance $manifest)))"#
    );
    wat::parse_str(text).unwrap()
}

/// Writes a component to a file; its digest's beginning.
fn put(bench: &Bench, file: &str, component: &[u8]) -> String {
    fs::write(bench.path(file), component).unwrap();
    Digest::of(component).to_short()
}

/// What a command says that ends with this code.
fn told(bench: &Bench, command: &[&str], code: i32) -> String {
    let ended = bench.run(command);
    assert_eq!(ended.code, code, "{command:?}\n{}{}", ended.out, ended.err);
    ended.out + &ended.err
}

fn holds(told: &str, wanted: &str) {
    assert!(told.contains(wanted), "{wanted:?} is missing in\n{told}");
}

#[test]
fn an_upgrade_never_hides_what_is_approved() {
    let bench = Bench::new();
    bench.write("grant.toml", "version = 1\nplugin = \"acme\"\n[operations.post]\n");
    let first = put(&bench, "first.wasm", &component("acme", "0.1.0", "First."));
    let second = put(&bench, "second.wasm", &component("acme", "0.1.0", "Second."));
    let third = put(&bench, "third.wasm", &component("acme", "0.2.0", "Third."));

    holds(&told(&bench, &["plugin", "install", "first.wasm"], 0), "It may do nothing yet");
    told(&bench, &["plugin", "approve", "acme", "--grant", "grant.toml"], 0);
    let approved = format!("In production 0.1.0 ({first}) is approved; this one");
    let second_told = told(&bench, &["plugin", "install", "second.wasm"], 0);
    holds(&second_told, &format!("{approved} has the same version with other bytes"));
    holds(&told(&bench, &["plugin", "install", "third.wasm"], 0), &format!("{approved} is higher"));
    holds(&told(&bench, &["plugin", "install", "first.wasm"], 0), "is approved in production");

    let shown = told(&bench, &["plugin", "show", "acme"], 0);
    holds(&shown, &format!("0.1.0 ({first}) in production; calls there use that one: sluice plugin show {first}"));
    let refused = told(&bench, &["plugin", "approve", "acme", "--grant", "grant.toml"], 1);
    holds(&refused, "3 installed components call themselves acme");
    holds(&refused, &format!("{first}  0.1.0, approved in production"));
    holds(&refused, &format!("{second}  0.1.0, approved nowhere"));
    holds(&refused, &format!("sluice plugin approve {third} --grant grant.toml --environment production"));

    let given = told(&bench, &["plugin", "approve", &third, "--grant", "grant.toml"], 0);
    holds(&given, &format!("Calls in production use 0.2.0 ({third}) from now on"));
    holds(&given, &format!("sluice plugin revoke {first} --environment production"));
    let refused = told(&bench, &["plugin", "revoke", "acme"], 1);
    holds(&refused, &format!("sluice plugin revoke {third} --environment production"));
    told(&bench, &["plugin", "revoke", &first], 0);
    let shown = told(&bench, &["plugin", "show", "acme"], 0);
    assert!(!shown.contains("calls there use that one"), "{shown}");
}

#[test]
fn a_slip_in_a_manifest_is_named_by_its_place() {
    let bench = Bench::new();
    put(&bench, "slip.wasm", &component("Acme", "0.1.0", "Slips."));
    let refused = told(&bench, &["plugin", "install", "slip.wasm"], 1);
    for wanted in ["slip.wasm: id", "\"Acme\" must start with a lower-case letter", "`connector!`"] {
        holds(&refused, wanted);
    }
    assert!(!refused.contains(" column "), "{refused}");
}
