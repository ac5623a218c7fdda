//! Answers of the later interfaces, checked for form: pages, subscriptions, choices.
//!
//! Owns their bounds. What a payload means is for its schema to say, elsewhere.

use model::{Failure, Limits};

use crate::bindings::discovers::exports::sluicegate::connector::discovery;
use crate::bindings::polls::exports::sluicegate::connector::polling;
use crate::bindings::subscribes::exports::sluicegate::connector::subscriptions;
use crate::call::{Answer, Choice, ChoicePage, Item, Page, Subscribed};
use crate::outcome::{check_json, check_size, exceeded, invalid};

/// Items of one page. 1,000: as many as events of one delivery.
const ITEMS_MAX: usize = 1_000;
/// A cursor. 128 KiB: five thousand ids and their times; it is kept with every poll
/// that found something.
const CURSOR_BYTES_MAX: usize = 128 << 10;
/// A dedupe key or an order key: a URL's worth. It becomes part of a key in the store.
const KEY_BYTES_MAX: usize = 512;
/// A subscription's handle, or a form's page: an id or a token.
const HANDLE_BYTES_MAX: usize = 4 << 10;
/// Choices of one page: more than a person looks through.
const CHOICES_MAX: usize = 1_000;
/// A choice's label or help: one line.
const LINE_CHARS_MAX: usize = 200;
/// A choice's value.
const VALUE_BYTES_MAX: usize = 4 << 10;

/// A poll's page: few enough items with usable keys, each JSON, within the limit together.
pub(crate) fn check_page(page: polling::Page, limits: &Limits) -> Result<Answer, Failure> {
    at_most("page_items", page.items.len(), ITEMS_MAX)?;
    at_most("cursor_bytes", page.cursor.len(), CURSOR_BYTES_MAX)?;
    let bytes = |item: &polling::Item| item.payload.len() + item.dedupe_key.len() + item.order_key.len();
    check_size(page.items.iter().map(bytes).sum(), limits)?;
    for (index, item) in page.items.iter().enumerate() {
        check_key(&format!("/items/{index}/dedupe-key"), &item.dedupe_key)?;
        check_key(&format!("/items/{index}/order-key"), &item.order_key)?;
        check_json(&format!("/items/{index}/payload"), &item.payload)?;
    }
    let to_item =
        |item: polling::Item| Item { dedupe_key: item.dedupe_key, order_key: item.order_key, payload: item.payload };
    Ok(Answer::Page(Page {
        items: page.items.into_iter().map(to_item).collect(),
        cursor: page.cursor,
        more: page.more,
    }))
}

/// A subscription: a handle that can be kept.
pub(crate) fn check_subscription(made: subscriptions::Subscription, _limits: &Limits) -> Result<Answer, Failure> {
    at_most("handle_bytes", made.handle.len(), HANDLE_BYTES_MAX)?;
    if made.handle.is_empty() {
        return Err(invalid("/handle", "what finds the subscription again", "nothing"));
    }
    Ok(Answer::Subscribed(Subscribed { handle: made.handle, expires_ms: made.expires_ms }))
}

/// Choices: few enough, each a value and one line.
pub(crate) fn check_choices(page: discovery::ChoicePage, limits: &Limits) -> Result<Answer, Failure> {
    at_most("choices", page.choices.len(), CHOICES_MAX)?;
    at_most("page_bytes", page.next.as_ref().map_or(0, String::len), HANDLE_BYTES_MAX)?;
    let bytes = |choice: &discovery::Choice| {
        choice.value.len() + choice.label.len() + choice.help.as_ref().map_or(0, String::len)
    };
    check_size(page.choices.iter().map(bytes).sum(), limits)?;
    for (index, choice) in page.choices.iter().enumerate() {
        let place = format!("/choices/{index}");
        if choice.value.len() > VALUE_BYTES_MAX {
            let got = format!("{} bytes", choice.value.len());
            return Err(invalid(&format!("{place}/value"), &format!("at most {VALUE_BYTES_MAX} bytes"), &got));
        }
        check_line(&format!("{place}/label"), &choice.label)?;
        check_line(&format!("{place}/help"), choice.help.as_deref().unwrap_or("-"))?;
    }
    let to_choice = |choice: discovery::Choice| Choice { value: choice.value, label: choice.label, help: choice.help };
    Ok(Answer::Choices(ChoicePage { choices: page.choices.into_iter().map(to_choice).collect(), next: page.next }))
}

/// An object's own fields: JSON within the limit. Whether it is a schema is checked by
/// whoever compiles it.
pub(crate) fn check_fields(schema: String, limits: &Limits) -> Result<Answer, Failure> {
    check_size(schema.len(), limits)?;
    check_json("", &schema)?;
    Ok(Answer::Fields(schema))
}

/// A migrated configuration: JSON within the limit.
pub(crate) fn check_config(config: String, limits: &Limits) -> Result<Answer, Failure> {
    check_size(config.len(), limits)?;
    check_json("", &config)?;
    Ok(Answer::Config(config))
}

/// Nothing to look at.
#[expect(clippy::unnecessary_wraps, reason = "the signature of all checks")]
pub(crate) fn check_unsubscribed((): (), _limits: &Limits) -> Result<Answer, Failure> {
    Ok(Answer::Unsubscribed)
}

fn at_most(which: &str, count: usize, limit: usize) -> Result<(), Failure> {
    if count > limit { Err(exceeded(which, limit as u64)) } else { Ok(()) }
}

fn check_key(path: &str, key: &str) -> Result<(), Failure> {
    if (1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(());
    }
    Err(invalid(path, &format!("a key of 1 to {KEY_BYTES_MAX} bytes"), &format!("{} bytes", key.len())))
}

fn check_line(path: &str, line: &str) -> Result<(), Failure> {
    let plain = !line.trim().is_empty() && !line.chars().any(char::is_control);
    if plain && line.chars().count() <= LINE_CHARS_MAX {
        return Ok(());
    }
    let shown: String = line.chars().take(40).flat_map(char::escape_debug).collect();
    Err(invalid(path, &format!("one line of at most {LINE_CHARS_MAX} characters"), &format!("\"{shown}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(dedupe: &str, order: &str, payload: &str) -> polling::Item {
        polling::Item { dedupe_key: dedupe.to_owned(), order_key: order.to_owned(), payload: payload.to_owned() }
    }

    fn page(items: Vec<polling::Item>, cursor: usize) -> Result<Answer, Failure> {
        let page = polling::Page { items, cursor: "c".repeat(cursor), more: false };
        check_page(page, &Limits { output_bytes: 100_000, ..Limits::default() })
    }

    fn place(outcome: Result<Answer, Failure>) -> String {
        match outcome {
            Err(Failure::InvalidOutput { fields }) => fields[0].path.clone(),
            Err(Failure::LimitExceeded { which, limit }) => format!("{which} {limit}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn pages_are_bounded_and_their_keys_usable() {
        assert!(page(vec![item("a", "1", "{}")], CURSOR_BYTES_MAX).is_ok());
        assert!(page(Vec::new(), 0).is_ok());
        for (items, cursor, wanted) in [
            (vec![item("a", "1", "{}"); 1_001], 0, "page_items 1000"),
            (Vec::new(), CURSOR_BYTES_MAX + 1, "cursor_bytes 131072"),
            (vec![item("", "1", "{}")], 0, "/items/0/dedupe-key"),
            (vec![item("a", "1", "{}"), item("b", &"o".repeat(513), "{}")], 0, "/items/1/order-key"),
            (vec![item("a", "1", "{")], 0, "/items/0/payload"),
            (vec![item("a", "1", &"1".repeat(100_000))], 0, "output_bytes 100000"),
        ] {
            assert_eq!(place(page(items, cursor)), wanted);
        }
    }

    #[test]
    fn choices_are_one_line_each() {
        let choice = |label: &str| discovery::Choice { value: "v".to_owned(), label: label.to_owned(), help: None };
        let given = |choices| check_choices(discovery::ChoicePage { choices, next: None }, &Limits::default());
        assert!(given(vec![choice("#alerts")]).is_ok());
        assert_eq!(place(given(vec![choice("x"); 1_001])), "choices 1000");
        for label in ["", "two\nlines", "\u{1b}[2J", &"x".repeat(201)] {
            assert_eq!(place(given(vec![choice("x"), choice(label)])), "/choices/1/label", "{label:?}");
        }
        let long = discovery::Choice { value: "v".repeat(VALUE_BYTES_MAX + 1), ..choice("x") };
        assert_eq!(place(given(vec![long])), "/choices/0/value");
    }

    #[test]
    fn handles_can_be_kept() {
        let made = |handle: String| {
            let made = subscriptions::Subscription { handle, expires_ms: None };
            check_subscription(made, &Limits::default())
        };
        assert!(made("42".to_owned()).is_ok());
        assert_eq!(place(made(String::new())), "/handle");
        assert_eq!(place(made("x".repeat(HANDLE_BYTES_MAX + 1))), "handle_bytes 4096");
    }
}
