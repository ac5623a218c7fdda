//! Reaches for the network, a folder and the log while it describes itself.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, describe, files, get, guest, log, quote, say, say_file};

guest!(act, reaching);

fn reaching() -> String {
    log::write(log::Level::Error, "hello", &[]);
    let network = say(&get("http://127.0.0.1:80/"));
    let told = format!("{network}; {}; {}", say_file(&files::list("inbox")), say_file(&files::write("inbox/a", b"a")));
    describe(env!("CARGO_PKG_NAME")).replace("\"None.\"", &quote(&told))
}

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}
