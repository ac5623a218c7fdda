//! Finds more things than a page may hold, larger ones, or things that cannot be told
//! apart. The configuration says which.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, POLLED, describe, export, guest, polling, unquote};

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("\"triggers\":[]", &format!("\"triggers\":[{POLLED}]")));
export!(polls);

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}

impl polling::Guest for Guest {
    fn poll(_: String, config: String, _: polling::Position) -> Result<polling::Page, Error> {
        let item = |dedupe: &str, order: &str, payload: &str| polling::Item {
            dedupe_key: dedupe.to_owned(),
            order_key: order.to_owned(),
            payload: payload.to_owned(),
        };
        let items = match unquote(&config) {
            "many" => vec![item("a", "1", "1"); 5_000],
            "payloads" => vec![item("a", "1", &format!("\"{}\"", "x".repeat(50_000))); 100],
            "nameless" => vec![item("", "1", "1")],
            "long" => vec![item("a", &"9".repeat(600), "1")],
            "broken" => vec![item("a", "1", "1"), item("b", "2", "{oops")],
            _ => Vec::new(),
        };
        Ok(polling::Page { items, cursor: "c".to_owned(), more: true })
    }
}
