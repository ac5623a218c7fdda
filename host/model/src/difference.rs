//! Differences between two JSON values, one readable line each.
//!
//! Whoever compares what was expected with what was found prints these words:
//! samples of connectors, tests of flows.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Values in a line are cut to this.
const VALUE_CHARS_MAX: usize = 120;

/// One place at which two values differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The place: `output.items[0].name`.
    pub place: String,
    /// What was expected, as JSON or in a word; long values are cut.
    pub expected: String,
    /// What was found, written the same way.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.place, self.expected, self.found)
    }
}

/// How much of a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// The members of objects that are expected; others may be there too.
    Part,
}

/// What differs, place by place, in the order of the expected value. Numbers are
/// compared by what they are worth.
pub fn differences(place: &str, wanted: &Value, found: &Value, extent: Extent) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(place, Some(wanted), Some(found), extent, &mut differences);
    differences
}

fn compare(place: &str, wanted: Option<&Value>, found: Option<&Value>, extent: Extent, all: &mut Vec<Difference>) {
    match (wanted, found) {
        (Some(Value::Object(wanted)), Some(Value::Object(found))) => {
            for (name, value) in wanted {
                compare(&format!("{place}.{name}"), Some(value), found.get(name), extent, all);
            }
            let more = found.iter().filter(|(name, _)| extent == Extent::Whole && !wanted.contains_key(*name));
            for (name, value) in more {
                compare(&format!("{place}.{name}"), None, Some(value), extent, all);
            }
        }
        (Some(Value::Array(wanted)), Some(Value::Array(found))) => {
            for at in 0..wanted.len().max(found.len()) {
                compare(&format!("{place}[{at}]"), wanted.get(at), found.get(at), extent, all);
            }
        }
        (wanted, found) if is_same(wanted, found) => {}
        (wanted, found) => {
            all.push(Difference { place: place.to_owned(), expected: word(wanted), found: word(found) });
        }
    }
}

fn is_same(wanted: Option<&Value>, found: Option<&Value>) -> bool {
    let numbers = wanted.and_then(Value::as_f64).zip(found.and_then(Value::as_f64));
    wanted == found || numbers.is_some_and(|(wanted, found)| wanted == found)
}

fn word(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    text.chars().take(VALUE_CHARS_MAX - 1).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(wanted: &Value, found: &Value, extent: Extent, expected: &[&str]) {
        let lines: Vec<String> = differences("output", wanted, found, extent).iter().map(ToString::to_string).collect();
        assert_eq!(lines, expected, "{wanted} {found}");
    }

    #[test]
    fn each_difference_names_its_place() {
        let wanted = json!({ "a": [1, { "b": "x" }], "gone": true });
        let found = json!({ "a": [1, { "b": "y", "c": 0 }, 3], "new": 1 });
        let in_both = [
            "output.a[1].b: expected \"x\", got \"y\"",
            "output.a[2]: expected nothing, got 3",
            "output.gone: expected true, got nothing",
        ];
        check(&wanted, &found, Extent::Part, &in_both);
        let [first, rest @ ..] = in_both;
        let more = ["output.a[1].c: expected nothing, got 0"];
        let whole = [&[first][..], &more, &rest, &["output.new: expected nothing, got 1"]].concat();
        check(&wanted, &found, Extent::Whole, &whole);
        check(&wanted, &wanted, Extent::Whole, &[]);
        check(&json!({ "n": 1 }), &json!({ "n": 1.0 }), Extent::Whole, &[]);
        check(
            &json!("x".repeat(200)),
            &json!(null),
            Extent::Whole,
            &[&format!("output: expected \"{}…, got null", "x".repeat(118))],
        );
    }
}
