//! Claims HTTP statuses that there are not, waits until the end of time, and codes and
//! details that are none.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, OtherFailure, RemoteAnswer, guest, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let remote = |status| Error::Remote(RemoteAnswer { status, message: "no".to_owned() });
    Err(match unquote(input) {
        "zero" => remote(0),
        "far" => remote(u16::MAX),
        "forever" => Error::RateLimited(Some(u64::MAX)),
        "code" => Error::Other(OtherFailure { code: "C".repeat(100_000), details: "{no json".to_owned() }),
        _ => Error::Other(OtherFailure { code: "deep".to_owned(), details: "[".repeat(3_000) }),
    })
}
