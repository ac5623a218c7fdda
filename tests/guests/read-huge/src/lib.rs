//! Reads a file that is larger than any answer it may have.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, files, guest, say_file};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    Err(Error::Transient(say_file(&files::read("inbox/huge.bin", 0, u32::MAX))))
}
