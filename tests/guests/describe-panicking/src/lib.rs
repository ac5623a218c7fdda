//! Panics while it describes itself.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act, || panic!("nothing to say"));

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}
