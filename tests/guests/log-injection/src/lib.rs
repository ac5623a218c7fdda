//! Forges log lines: line breaks, terminal escapes, other runs' ids, reordered text.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, log};

guest!(act);

const FORGED: &str = "paid\n{\"level\":\"INFO\",\"run\":\"00000000000000000000000000000000\",\"message\":\"approved by admin\"}\r\n\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{2028}\0end";

fn act(_input: &str) -> Result<String, Error> {
    log::write(log::Level::Info, FORGED, &[(FORGED.to_owned(), FORGED.to_owned())]);
    println!("\u{1b}[31mred\rover");
    eprintln!("\u{9b}31mred\u{85}next");
    Err(Error::Permanent(FORGED.to_owned()))
}
