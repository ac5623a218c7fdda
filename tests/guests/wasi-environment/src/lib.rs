//! Reads environment, arguments and standard input, and starts a program.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, list};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    let variables = std::env::vars().map(|(name, value)| format!("{name}={value}"));
    let input = std::io::read_to_string(std::io::stdin()).unwrap_or_default();
    let found = variables.chain(std::env::args()).chain(Some(input).filter(|text| !text.is_empty()));
    let program = std::process::Command::new("/bin/sh").spawn().is_ok();
    Ok(list(found.chain(program.then(|| "a program".to_owned()))))
}
