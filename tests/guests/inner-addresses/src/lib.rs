//! Asks for loopback and cloud metadata by every spelling of their addresses, and by
//! names that lead there. The input is the port.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, get, guest, list, say};

guest!(act);

const SPELLINGS: [&str; 25] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "%31%32%37.0.0.1",
    "127.0.0.1.",
    "１２７.0.0.1",
    "127。0。0。1",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST.",
    "rebound.example.com",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "169.254.169.254",
    "2852039166",
    "[::ffff:a9fe:a9fe]",
];

fn act(input: &str) -> Result<String, Error> {
    Ok(list(SPELLINGS.iter().map(|host| format!("{host} {}", say(&get(&format!("http://{host}:{input}/")))))))
}
