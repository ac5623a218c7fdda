//! Asks a granted remote that sends it on to where it may not go.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, get, guest, say, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    Err(Error::Transient(say(&get(unquote(input)))))
}
