//! Answers as many bytes as it is told to.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let bytes: usize = input.parse().expect("the test gives a number");
    Ok(format!("\"{}\"", "x".repeat(bytes)))
}
