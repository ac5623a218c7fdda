//! Reaches out over `wasi:http` while it describes itself.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, describe, guest, quote, wasi};

guest!(act, reaching);

fn reaching() -> String {
    let told = wasi::say_answer(&wasi::ask("GET", "http://127.0.0.1:80/", &[], None));
    describe(env!("CARGO_PKG_NAME")).replace("\"None.\"", &quote(&told))
}

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}
