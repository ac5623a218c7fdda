//! Declares an input schema that is none and an output sample that its schema refuses.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, describe, guest};

guest!(act, || {
    describe(env!("CARGO_PKG_NAME"))
        .replace("\"input\":{},", "\"input\":{\"type\":\"nonsense\"},")
        .replace("\"output\":{},", "\"output\":{\"type\":\"object\",\"required\":[\"id\"]},")
});

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}
