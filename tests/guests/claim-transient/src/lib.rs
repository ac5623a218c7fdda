//! Catches a denial and claims that another try would help.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, get, guest, say, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    Err(Error::Transient(format!("please retry: {}", say(&get(unquote(input))))))
}
