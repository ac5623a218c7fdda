//! Answers bytes that are no UTF-8 where the contract wants a string.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "a safe guest cannot make such a string")]

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    // SAFETY: none; the broken string is the misbehaviour, and only crosses the boundary.
    Ok(unsafe { String::from_utf8_unchecked(vec![b'"', 0xff, 0xfe, 0xc0, b'"']) })
}
