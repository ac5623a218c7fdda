//! Ends itself with the exit code of success, so that nobody hears an answer.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    std::process::exit(0);
}
