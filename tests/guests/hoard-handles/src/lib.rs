//! Opens handles to its standard output and never closes one, past what the host keeps
//! for a call.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "the safe functions close what they open")]

use guest_common::{Error, guest};

guest!(act);

#[link(wasm_import_module = "wasi:cli/stdout@0.2.0")]
unsafe extern "C" {
    #[link_name = "get-stdout"]
    fn get_stdout() -> i32;
}

fn act(_input: &str) -> Result<String, Error> {
    for _ in 0..1_000_000 {
        // SAFETY: takes nothing and returns a plain number.
        std::hint::black_box(unsafe { get_stdout() });
    }
    Ok("\"a million\"".to_owned())
}
