//! Claims that scopes are missing: some that are none, and a hundred thousand.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    let odd = ["", " ", "two words", "line\nbreak", "\u{1b}[31m", "ünï", "chat:write"].map(str::to_owned);
    let long = ["x".repeat(10_000)];
    let many = (0..100_000).map(|index| format!("scope:{index}"));
    Err(Error::MissingScopes(odd.into_iter().chain(long).chain(many).collect()))
}
