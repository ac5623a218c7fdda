//! Declares a trigger and exports no webhooks.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, TRIGGER, describe, guest};

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("\"triggers\":[]", &format!("\"triggers\":[{TRIGGER}]")));

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}
