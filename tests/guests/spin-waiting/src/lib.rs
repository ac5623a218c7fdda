//! Waits for nothing, for ever: each wait is over before it begins.
#![cfg(target_arch = "wasm32")]

use std::time::Duration;

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    loop {
        std::thread::sleep(Duration::from_nanos(1));
    }
}
