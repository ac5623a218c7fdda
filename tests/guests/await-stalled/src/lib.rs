//! Asks a remote that never answers, with no wish of its own to stop waiting.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, get, guest, say, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let answer = get(&format!("{}/stall", unquote(input)));
    Err(Error::Transient(say(&answer)))
}
