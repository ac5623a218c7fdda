//! Asks for each of several places twice: by `fetch`, and over `wasi:http`.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, fetch, guest, list, say, send, unquote, wasi};

guest!(act);

/// `METHOD URL`, with semicolons between them.
fn act(input: &str) -> Result<String, Error> {
    let asked = unquote(input).split(';').filter_map(|asked| asked.split_once(' '));
    Ok(list(asked.flat_map(|(method, url)| {
        let first = say(&send(method, url, &[], fetch::Body::Empty));
        [first, wasi::say_answer(&wasi::ask(method, url, &[], None))]
    })))
}
