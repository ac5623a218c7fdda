//! Guests written in WebAssembly's text form, where the SDK and even raw bindings are
//! too polite: each is a file in `wat/`, made into a component when a test asks for it.
//!
//! The first line says what the file is. `;; connector`: a core module with the
//! contract's functions under their canonical names, made into a component as
//! toolchains do; `;; component`: a component, `;; module`: a core module, both as they
//! are. In all of them `(;manifest;)` stands for what describes the guest: a function
//! under its canonical name, and its data from byte 49,152 of the memory on.

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, Linker, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// All that hosts offer, and what every guest here exports.
const WORLD: &str = "package guests:made;
world made {
    include sluicegate:connector/offers@0.1.0;
    export sluicegate:connector/manifest@0.1.0;
    export sluicegate:connector/actions@0.1.0;
}";

/// Where the manifest begins in the memory, and what points to it.
const TEXT_AT: u32 = 49_152;
const POINTER_AT: u32 = TEXT_AT - 16;

/// The guest of this name, if it is written in text.
///
/// # Panics
/// When its file is no guest.
pub(crate) fn made(name: &str) -> Option<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("wat").join(format!("{name}.wat"));
    let text = fs::read_to_string(&file).ok()?.replace("(;manifest;)", &describing(name));
    let binary = || wat::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    match text.lines().next() {
        Some(";; connector") => Some(connector(binary())),
        Some(";; component" | ";; module") => Some(binary()),
        other => panic!("{}: begins with {other:?}", file.display()),
    }
}

/// A core module with the contract's functions, as a component.
///
/// # Panics
/// When the module lacks a function, or has one of another type.
#[must_use]
pub fn connector(module: Vec<u8>) -> Vec<u8> {
    try_connector(module).unwrap_or_else(|error| panic!("the module is no connector: {error}"))
}

/// The same, of a module that may be none.
///
/// # Errors
/// The module lacks a function, or has one of another type.
///
/// # Panics
/// When the contract cannot be read.
pub fn try_connector(mut module: Vec<u8>) -> Result<Vec<u8>, String> {
    embed(&mut module);
    let encoder = ComponentEncoder::default().validate(true).module(&module);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| format!("{error:#}"))
}

/// A core module with the contract's functions, and a library beside it, as a component.
/// They import each other's functions, and the one memory, from `env`; what the host
/// offers, only the connector can.
///
/// # Errors
/// One lacks a function, or has one of another type.
///
/// # Panics
/// When the contract cannot be read.
pub fn try_linked(mut module: Vec<u8>, library: &[u8]) -> Result<Vec<u8>, String> {
    embed(&mut module);
    let linker = Linker::default().validate(true).library("connector", &module, false);
    let linker = linker.and_then(|linker| linker.library("library", library, false));
    linker.and_then(Linker::encode).map_err(|error| format!("{error:#}"))
}

/// Says in the module which world its names are of.
fn embed(module: &mut Vec<u8>) {
    let mut resolve = Resolve::default();
    let wit = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../wit"));
    resolve.push_dir(&wit).expect("the contract");
    let package = resolve.push_str("made.wit", WORLD).expect("the world");
    let world = resolve.select_world(&[package], Some("made")).expect("the world");
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).expect("embedded");
}

/// The function that describes a guest with one action, and its data.
#[must_use]
pub fn describing(id: &str) -> String {
    let manifest = manifest(id);
    let escape = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let length = u32::try_from(manifest.len()).expect("a short text");
    let pointer = [TEXT_AT.to_le_bytes(), length.to_le_bytes()].concat();
    format!(
        "(data (i32.const {POINTER_AT}) \"{}\") (data (i32.const {TEXT_AT}) \"{}\")
        (func (export \"sluicegate:connector/manifest@0.1.0#describe\") (result i32) (i32.const {POINTER_AT}))",
        escape(&pointer),
        escape(manifest.as_bytes()),
    )
}

fn manifest(id: &str) -> String {
    let action = r#"{"id":"act","label":"Act","help":"Does what this guest does.","effect":"create",
        "idempotency":{"kind":"none"},"destinations":["* any"],"files":"write","connection":"optional",
        "input":{},"output":{},"sample":{"input":null,"output":null}}"#;
    format!(
        r#"{{"manifest_version":1,"id":"{id}","version":"0.1.0","label":"{id}","publisher":"Tests","license":"MIT",
        "support":{{"owner":"Tests","contact":"tests@example.com","policy":"none"}},
        "purpose":"Tests the sandbox.","data":"None.",
        "connection":{{"base_url":{{"help":"Where the receiver is."}},"auth":[{{"scheme":"bearer","help":"Any token."}}]}},
        "actions":[{action}],"triggers":[]}}"#
    )
}
