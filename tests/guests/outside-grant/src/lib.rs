//! Asks for a place that its grant does not name, and goes on as if nothing were wrong.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, get, guest, list, say, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    Ok(list([say(&get(unquote(input)))]))
}
