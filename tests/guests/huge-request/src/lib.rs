//! Sends a body larger than it may, a URL of a megabyte and a hundred thousand headers.
//! The input is the origin of the remote.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, fetch, guest, list, say, send, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let origin = unquote(input);
    let headers = vec![("x", ""); 100_000];
    let answers = [
        send("GET", &format!("{origin}/{}", "x".repeat(1 << 20)), &[], fetch::Body::Empty),
        send("GET", origin, &[("x-long", &"x".repeat(1 << 20))], fetch::Body::Empty),
        send("GET", origin, &headers[..101], fetch::Body::Empty),
        send(&"G".repeat(1_000), origin, &[], fetch::Body::Empty),
        send("POST", origin, &[], fetch::Body::Bytes(vec![0; 200_000])),
    ];
    let said = list(answers.iter().map(say));
    if said.contains("limit") { Err(Error::Permanent(said)) } else { Ok(said) }
}
