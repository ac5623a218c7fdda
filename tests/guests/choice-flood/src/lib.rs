//! Offers a million choices, choices that forge a form's lines, or endless pages.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, describe, discovery, export, guest, unquote};

const DISCOVERY: &str = r#""triggers":[],"discovery":{"choices":[{"field":"thing","label":"A thing","help":"All."}]}"#;

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("\"triggers\":[]", DISCOVERY));
export!(discovers);

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}

impl discovery::Guest for Guest {
    fn choices(_: String, config: String, _: String, _: Option<String>) -> Result<discovery::ChoicePage, Error> {
        let choice = |label: &str| discovery::Choice { value: "v".to_owned(), label: label.to_owned(), help: None };
        let (choices, next) = match unquote(&config) {
            "million" => (vec![choice("x"); 1_000_000], None),
            "many" => (vec![choice("x"); 2_000], None),
            "lines" => (vec![choice("fine"), choice("a\u{1b}[2J\nAdministrator")], None),
            _ => (Vec::new(), Some("n".repeat(10_000))),
        };
        Ok(discovery::ChoicePage { choices, next })
    }

    fn fields(_: String, _: String) -> Result<String, Error> {
        Ok("{\"type\":".to_owned())
    }
}
