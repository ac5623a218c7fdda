//! Hides a store in its cursor: twice as large at every poll.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, POLLED, describe, export, guest, polling};

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("\"triggers\":[]", &format!("\"triggers\":[{POLLED}]")));
export!(polls);

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}

impl polling::Guest for Guest {
    fn poll(_: String, _: String, from: polling::Position) -> Result<polling::Page, Error> {
        let cursor = match from {
            polling::Position::After(cursor) => cursor.repeat(2),
            polling::Position::Now | polling::Position::Beginning => "c".repeat(1 << 14),
        };
        Ok(polling::Page { items: Vec::new(), cursor, more: true })
    }
}
