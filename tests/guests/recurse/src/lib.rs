//! Recurses without end, with next to nothing on its own stack in memory: what runs out
//! is the host's stack for it.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    Ok(deeper(1).to_string())
}

#[allow(unconditional_recursion, reason = "the misbehaviour")]
fn deeper(depth: u64) -> u64 {
    deeper(depth + 1) ^ std::hint::black_box(depth)
}
