//! The components of the guests: built ones from files, made ones from their text.

use std::path::Path;

use crate::made::made;

/// The component of the guest of this name.
///
/// # Panics
/// When it has not been built.
pub fn component(name: &str) -> Vec<u8> {
    made(name).unwrap_or_else(|| built(name))
}

fn built(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/guests").join(format!("{name}.wasm"));
    std::fs::read(&file).unwrap_or_else(|error| {
        panic!(
            "the guest {name} is not built ({error}: target/guests/{name}.wasm): run cargo xtask test, which builds it"
        )
    })
}
