//! Passes half a million empty headers: little for the guest to keep, much for the host.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, fetch, guest, say, send, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let headers = vec![("", ""); 500_000];
    let answer = send("GET", unquote(input), &headers, fetch::Body::Empty);
    Err(Error::Transient(say(&answer)))
}
