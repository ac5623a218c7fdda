//! Writes to its granted folder until something gives, then claims a passing fault.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, files, guest, say_file};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    for index in 0.. {
        let answer = files::append(&format!("inbox/{}.bin", index % 7), &[0; 10_000]);
        if answer.is_err() {
            return Err(Error::Transient(say_file(&answer)));
        }
    }
    Ok("null".to_owned())
}
