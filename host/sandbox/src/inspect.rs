//! A look at a component before anything is compiled: what it exports and imports.
//!
//! Owns the names and versions of the contract that this host knows. Refuses by
//! name; reads only the outermost sections, in time linear in their size.

use wasmparser::{Parser, Payload};

use crate::error::LoadError;

/// The package of the contract, without version.
const PACKAGE: &str = "sluicegate:connector/";
/// The version of the contract that this host speaks.
const VERSION: &str = "0.1.0";
/// What every connector exports.
pub(crate) const MANIFEST: &str = "sluicegate:connector/manifest@0.1.0";
/// Interfaces of ours that a connector may import.
const OFFERED: [&str; 8] = ["types", "fetch", "context", "log", "files", "transfers", "state", "crypto"];
/// Interfaces of WASI 0.2 that are linked.
const OFFERED_WASI: [&str; 29] = [
    "cli/environment",
    "cli/exit",
    "cli/stdin",
    "cli/stdout",
    "cli/stderr",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "cli/terminal-stderr",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "http/outgoing-handler",
    "http/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

/// The capabilities that a component exports, beside its manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one interface, there or not")]
pub struct Exports {
    /// It performs actions.
    pub actions: bool,
    /// It maps webhooks to events.
    pub webhooks: bool,
    /// It tests connections and names their account.
    pub account: bool,
    /// It can be asked what happened.
    pub polling: bool,
    /// It sets webhooks up at the remote.
    pub subscriptions: bool,
    /// It knows what forms can offer.
    pub discovery: bool,
    /// It carries stored configuration over.
    pub migration: bool,
}

/// Looks at a component that has not been compiled.
pub(crate) fn inspect(wasm: &[u8], bytes_max: usize) -> Result<Exports, LoadError> {
    if wasm.len() > bytes_max {
        return Err(LoadError::TooLarge { bytes: wasm.len(), limit: bytes_max });
    }
    if Parser::is_core_wasm(wasm) {
        return Err(LoadError::CoreModule);
    }
    if !Parser::is_component(wasm) {
        return Err(LoadError::Malformed("it does not begin like a component".to_owned()));
    }
    let (imports, exports) = names(wasm).map_err(|error| LoadError::Malformed(error.to_string()))?;
    imports.iter().try_for_each(|name| check_import(name))?;
    classify(exports.iter().map(String::as_str))
}

/// What these exports make of a component; nothing but ours is looked at.
pub(crate) fn classify<'a>(names: impl Iterator<Item = &'a str>) -> Result<Exports, LoadError> {
    let mut exports = Exports::default();
    let mut manifest = false;
    for name in names {
        let Some(interface) = name.strip_prefix(PACKAGE) else { continue };
        match interface.split_once('@') {
            Some(("manifest", VERSION)) => manifest = true,
            Some(("actions", VERSION)) => exports.actions = true,
            Some(("webhooks", VERSION)) => exports.webhooks = true,
            Some(("account", VERSION)) => exports.account = true,
            Some(("polling", VERSION)) => exports.polling = true,
            Some(("subscriptions", VERSION)) => exports.subscriptions = true,
            Some(("discovery", VERSION)) => exports.discovery = true,
            Some(("migration", VERSION)) => exports.migration = true,
            _ => return Err(LoadError::UnknownVersion { interface: name.to_owned() }),
        }
    }
    if manifest { Ok(exports) } else { Err(LoadError::NoManifest { interface: MANIFEST }) }
}

fn check_import(name: &str) -> Result<(), LoadError> {
    if let Some(interface) = name.strip_prefix(PACKAGE) {
        return match interface.split_once('@') {
            Some((interface, VERSION)) if OFFERED.contains(&interface) => Ok(()),
            Some((_, VERSION)) => Err(LoadError::UnknownImport { import: name.to_owned() }),
            _ => Err(LoadError::UnknownVersion { interface: name.to_owned() }),
        };
    }
    let known = name
        .strip_prefix("wasi:")
        .and_then(|rest| rest.split_once('@'))
        .is_some_and(|(interface, version)| OFFERED_WASI.contains(&interface) && version.starts_with("0.2."));
    if known { Ok(()) } else { Err(LoadError::UnknownImport { import: name.to_owned() }) }
}

/// Names of imports and exports of the outermost component.
fn names(wasm: &[u8]) -> wasmparser::Result<(Vec<String>, Vec<String>)> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, found: Result<Exports, LoadError>) {
        let text = found.map_or_else(|error| error.to_string(), |exports| format!("{exports:?}"));
        assert!(text.contains(wanted), "{text} has no {wanted}");
    }

    #[test]
    fn refuses_what_is_no_connector_by_name() {
        let core = b"\0asm\x01\0\0\0";
        let component = b"\0asm\x0d\0\x01\0";
        check("core WebAssembly module", inspect(core, 100));
        check("not a valid component", inspect(b"", 100));
        check("not a valid component", inspect(b"hello", 100));
        check("not a valid component", inspect(b"\0asm\x0d\0\x01\0\xff\xff", 100));
        check("exports no sluicegate:connector/manifest@0.1.0", inspect(component, 100));
        check("8 bytes, more than the 7", inspect(component, 7));
    }

    #[test]
    fn knows_the_contract_by_version() {
        let all = [MANIFEST, "sluicegate:connector/actions@0.1.0", "other:thing/x@1.0.0"];
        check("actions: true, webhooks: false, account: false", classify(all.into_iter()));
        for unknown in [
            "sluicegate:connector/manifest@0.2.0",
            "sluicegate:connector/polling@0.2.0",
            "sluicegate:connector/brooding@0.1.0",
            "sluicegate:connector/actions",
            "sluicegate:connector/actions@0.1.0-rc.1",
        ] {
            check(&format!("speaks {unknown}, which"), classify([MANIFEST, unknown].into_iter()));
        }
    }

    #[test]
    fn imports_are_offered_or_named() {
        for (name, ok) in [
            ("sluicegate:connector/fetch@0.1.0", true),
            ("wasi:io/poll@0.2.6", true),
            ("wasi:io/poll@0.3.0", false),
            ("wasi:http/outgoing-handler@0.2.0", true),
            ("wasi:http/types@0.2.8", true),
            ("wasi:http/incoming-handler@0.2.0", false),
            ("wasi:http/outgoing-handler@0.3.0", false),
            ("wasi:nn/graph@0.2.0", false),
            ("sluicegate:connector/state@0.1.0", true),
            ("sluicegate:connector/crypto@0.1.0", true),
            ("sluicegate:connector/sockets@0.1.0", false),
            ("sluicegate:connector/fetch@0.2.0", false),
            ("thing", false),
        ] {
            let found = check_import(name);
            assert_eq!(found.is_ok(), ok, "{name}");
            assert!(found.err().is_none_or(|error| error.to_string().contains(name)));
        }
    }
}
