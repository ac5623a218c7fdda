//! Writes megabytes to standard output and error, most of it without a line's end.
#![cfg(target_arch = "wasm32")]

use std::io::Write as _;

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    let noise = "noise ".repeat(1_000);
    for _ in 0..2_000 {
        let _ = write!(std::io::stderr(), "{noise}");
        let _ = write!(std::io::stdout(), "{noise}");
    }
    Err(Error::Permanent("done with it".to_owned()))
}
