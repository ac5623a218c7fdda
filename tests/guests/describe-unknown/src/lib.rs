//! Declares a capability that the format does not know, in the hope of being believed.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, describe, guest};

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("\"triggers\":[]", "\"triggers\":[],\"approved\":true"));

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}
