//! Reads and writes files behind the contract's back. The input is a path that exists.
#![cfg(target_arch = "wasm32")]

use std::fs;

use guest_common::{Error, guest, list, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let path = unquote(input);
    let tried = [
        ("read", fs::read(path).is_ok()),
        ("passwd", fs::read("/etc/passwd").is_ok()),
        ("relative", fs::read("../../../../../../etc/passwd").is_ok()),
        ("self", fs::read("/proc/self/environ").is_ok()),
        ("list", fs::read_dir("/").is_ok()),
        ("here", fs::read_dir(".").is_ok()),
        ("write", fs::write("/tmp/guest-was-here", "x").is_ok()),
        ("remove", fs::remove_file(path).is_ok()),
        ("link", fs::hard_link(path, "/tmp/guest-was-here").is_ok()),
    ];
    Ok(list(tried.iter().filter(|(_, worked)| *worked).map(|(what, _)| (*what).to_owned())))
}
