//! No misbehaviour: the neighbour. Answers what it is given.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    Ok(input.to_owned())
}
