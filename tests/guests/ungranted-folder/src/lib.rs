//! Opens folders that its grant does not name, or opens for reading alone.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, files, guest, say_file, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let answer = match unquote(input) {
        "read" => say_file(&files::read("secrets/key.pem", 0, 1_000)),
        "list" => say_file(&files::list("secrets")),
        _ => say_file(&files::write("inbox/new.txt", b"owned")),
    };
    Err(Error::Transient(answer))
}
