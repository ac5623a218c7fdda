//! A component's outermost imports and exports, by name.

use wasmparser::{Parser, Payload};

/// What a component asks for and what it offers, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// `wasi:io/streams@0.2.6`, `sluicegate:connector/fetch@0.1.0`, ...
    pub imports: Vec<String>,
    /// `sluicegate:connector/manifest@0.1.0`, ...
    pub exports: Vec<String>,
}

/// Reads the interfaces of a component without running it.
///
/// # Errors
/// When the bytes are no component.
pub fn interfaces(wasm: &[u8]) -> Result<Interfaces, wasmparser::BinaryReaderError> {
    let mut found = Interfaces::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    found.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    found.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    found.imports.sort();
    found.exports.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_component_are_told_apart() {
        assert!(interfaces(b"not wasm").is_err());
        // The header alone: an empty component (layer 1, version 13).
        let empty = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
        assert_eq!(interfaces(&empty).ok(), Some(Interfaces::default()));
    }
}
