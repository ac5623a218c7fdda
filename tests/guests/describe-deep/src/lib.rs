//! Describes an input schema of half a million nested lists.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, describe, guest};

guest!(act, || {
    let deep = format!("\"input\":{}{}", "[".repeat(250_000), "]".repeat(250_000));
    describe(env!("CARGO_PKG_NAME")).replace("\"input\":{}", &deep)
});

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}
