//! Asks for a place that its own manifest never mentioned.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, describe, get, guest, say, unquote};

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("* any", "GET https://api.example.com/**"));

fn act(input: &str) -> Result<String, Error> {
    Err(Error::Transient(say(&get(unquote(input)))))
}
