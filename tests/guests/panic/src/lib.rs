//! Panics.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    panic!("the sky fell on {input}");
}
