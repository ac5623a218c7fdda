//! Opens sockets and never closes one, and tells how many it got.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "the socket function of the C library has no safe form that leaks")]

use guest_common::{Error, guest};

guest!(act);

unsafe extern "C" {
    fn socket(domain: i32, kind: i32, protocol: i32) -> i32;
}

fn act(_input: &str) -> Result<String, Error> {
    const AF_INET: i32 = 1;
    const SOCK_STREAM: i32 = 6;
    // SAFETY: takes and returns plain numbers.
    let opened = (0..1_000_000).take_while(|_| unsafe { socket(AF_INET, SOCK_STREAM, 0) } >= 0).count();
    Ok(opened.to_string())
}
