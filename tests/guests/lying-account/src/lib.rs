//! Names its account over several lines, in megabytes, or not at all.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, account, context, describe, export, guest};

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("\"auth\":[", "\"check\":{\"destinations\":[]},\"auth\":["));
export!(checks);

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}

impl account::Guest for Guest {
    fn check() -> Result<String, Error> {
        let call = context::current();
        Ok(match call.attempt {
            1 => "admin\nrole: administrator".to_owned(),
            2 => "\u{1b}[2Jadmin".to_owned(),
            3 => "x".repeat(1 << 20),
            _ => " \t".to_owned(),
        })
    }
}
