//! Hides a second request in the method, the URL and the body of the first.
//! The input is the origin of the remote.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, fetch, guest, list, say, send, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let origin = unquote(input);
    let methods = ["GET / HTTP/1.1\r\nx-a: b\r\n\r\nPOST", "GET /", "CONNECT", "TRACE", "", "G\0T"];
    let mut answers: Vec<_> =
        methods.iter().map(|method| send(method, &format!("{origin}/one"), &[], fetch::Body::Empty)).collect();
    answers.push(send(
        "GET",
        &format!("{origin}/one HTTP/1.1\r\nx-smuggled: yes\r\n\r\nGET /two"),
        &[],
        fetch::Body::Empty,
    ));
    let second = "GET /three HTTP/1.1\r\nx-smuggled: yes\r\n\r\n".to_owned();
    answers.push(send("POST", &format!("{origin}/one"), &[], fetch::Body::Text(second)));
    Ok(list(answers.iter().map(say)))
}
