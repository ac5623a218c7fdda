//! Recurses without end, with much on its own stack in memory: that one runs out first.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    Ok(deeper(1).to_string())
}

#[allow(unconditional_recursion, reason = "the misbehaviour")]
fn deeper(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 64]);
    deeper(depth + 1) + block[7]
}
