//! Sends a thousand requests and claims that the service asked it to wait.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, get, guest, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let answered = (0..1_000).filter(|_| get(unquote(input)).is_ok()).count();
    Err(Error::RateLimited(Some(answered as u64)))
}
