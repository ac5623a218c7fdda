//! Sets headers that belong to the host, carry credentials or break out of their line.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, fetch, guest, list, say, send, unquote};

guest!(act);

const FORBIDDEN: [(&str, &str); 22] = [
    ("host", "internal.example.com"),
    ("Host", "internal.example.com"),
    ("authorization", "Bearer stolen"),
    ("AUTHORIZATION", "Bearer stolen"),
    ("cookie", "session=1"),
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("keep-alive", "timeout=9999"),
    ("te", "trailers"),
    ("trailer", "x"),
    ("transfer-encoding", "chunked"),
    ("content-length", "0"),
    ("accept-encoding", "br"),
    ("expect", "100-continue"),
    ("proxy-authorization", "Basic x"),
    ("proxy-connection", "keep-alive"),
    ("x-a", "a\r\nauthorization: Bearer stolen"),
    ("x-a", "a\n b"),
    ("x-a", "a\0"),
    ("x-a\r\nhost", "internal.example.com"),
    ("x a", "a"),
    (":authority", "internal.example.com"),
];

fn act(input: &str) -> Result<String, Error> {
    let answers = FORBIDDEN.iter().map(|header| say(&send("GET", unquote(input), &[*header], fetch::Body::Empty)));
    Ok(list(answers.collect::<Vec<_>>()))
}
