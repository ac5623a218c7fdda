//! Turns one delivery into more events, or larger ones, than it may. The configuration
//! says which.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, TRIGGER, describe, export, guest, unquote, webhooks};

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("\"triggers\":[]", &format!("\"triggers\":[{TRIGGER}]")));
export!(receives);

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}

impl webhooks::Guest for Guest {
    fn receive(_: String, config: String, _: webhooks::Delivery) -> Result<Vec<webhooks::Event>, Error> {
        let event = |key: &str, payload: &str| webhooks::Event {
            dedupe_key: Some(key.to_owned()),
            payload: payload.to_owned(),
        };
        Ok(match unquote(&config) {
            "many" => vec![event("same", "{}"); 5_000],
            "keys" => vec![event(&"k".repeat(50_000), "{}"); 100],
            "payloads" => vec![event("same", &format!("\"{}\"", "x".repeat(50_000))); 100],
            _ => vec![event("fine", "{}"), event("broken", "{oops")],
        })
    }
}
