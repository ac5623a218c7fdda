//! Carries a configuration over to no JSON, to far too much of it, or by reaching out.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, describe, export, get, guest, migration, quote, say, unquote};

const MIGRATIONS: &str = r#""triggers":[],"migrations":[{"operation":"act","before":"0.1.0","what":"All of it."}]"#;

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("\"triggers\":[]", MIGRATIONS));
export!(migrates);

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}

impl migration::Guest for Guest {
    fn migrate(_: String, config: String, from_version: String) -> Result<String, Error> {
        Ok(match unquote(&config) {
            "broken" => "{oops".to_owned(),
            "huge" => quote(&"x".repeat(200_000)),
            "deep" => format!("{}{}", "[".repeat(500), "]".repeat(500)),
            url => quote(&say(&get(&format!("{url}/?from={from_version}")))),
        })
    }
}
