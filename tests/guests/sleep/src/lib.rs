//! Sleeps for an hour on the monotonic clock.
#![cfg(target_arch = "wasm32")]

use std::time::Duration;

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    std::thread::sleep(Duration::from_secs(3_600));
    Ok("\"awake\"".to_owned())
}
