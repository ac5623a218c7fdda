//! Calls itself `echo`, as its neighbour does.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, describe, guest};

guest!(act, || describe("guest-echo"));

fn act(_input: &str) -> Result<String, Error> {
    Ok("\"I am not echo\"".to_owned())
}
