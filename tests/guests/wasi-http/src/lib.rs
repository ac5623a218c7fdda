//! Sends what it is told to over `wasi:http`, and tells everything it gets to see.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, list, unquote, wasi};

guest!(act);

/// `METHOD URL` and perhaps a body, with a blank between them.
fn act(input: &str) -> Result<String, Error> {
    let mut words = unquote(input).splitn(3, ' ');
    let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let pieces: Option<Vec<&[u8]>> = words.next().map(|body| body.as_bytes().chunks(3).collect());
    let answer = wasi::ask(method, url, &[("x-mine", "yes")], pieces.as_deref());
    let said = wasi::say_answer(&answer);
    if answer.is_err() {
        // As a connector does that makes an error of everything it did not expect.
        return Err(Error::Transient(said));
    }
    let (headers, body) = answer.map(|answer| (answer.headers, answer.body)).unwrap_or_default();
    let headers = headers.into_iter().map(|(name, value)| format!("{name}: {value}"));
    Ok(list([said, String::from_utf8_lossy(&body).into_owned()].into_iter().chain(headers)))
}
