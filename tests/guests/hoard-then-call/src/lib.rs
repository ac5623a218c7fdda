//! Fills its memory to the last page, then asks the host for an answer that cannot fit.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, get, guest, say, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    while core::arch::wasm32::memory_grow::<0>(1) != usize::MAX {}
    let answer = get(&format!("{}/bytes/4000000", unquote(input)));
    Err(Error::Transient(say(&answer)))
}
