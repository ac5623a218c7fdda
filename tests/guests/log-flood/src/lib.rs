//! Writes a hundred thousand log lines, and one that is larger than the whole log.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, log};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    for index in 0..100_000 {
        log::write(log::Level::Info, &format!("line {index}"), &[("key".to_owned(), "value".to_owned())]);
    }
    log::write(log::Level::Error, &"x".repeat(1 << 20), &[]);
    Ok("null".to_owned())
}
