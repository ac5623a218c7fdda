//! Differences between two JSON values, one readable line each.

use serde_json::Value;

use crate::show::short;

/// Values in a line are cut to this.
const VALUE_CHARS_MAX: usize = 120;
/// More lines help nobody.
const LINES_MAX: usize = 12;

/// What differs, by place: `output.items[0].name: expected "a", got "b"`.
pub(super) fn differences(place: &str, wanted: &Value, got: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare(place, Some(wanted), Some(got), &mut lines);
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more differences"));
    }
    lines
}

/// The same, for the members that `wanted` names alone.
pub(super) fn differences_of_members(place: &str, wanted: &Value, got: &Value) -> Vec<String> {
    let Some(members) = wanted.as_object() else { return differences(place, wanted, got) };
    let of_member = |(name, wanted): (&String, &Value)| {
        differences(&format!("{place}.{name}"), wanted, got.get(name).unwrap_or(&Value::Null))
    };
    members.iter().flat_map(of_member).collect()
}

fn compare(place: &str, wanted: Option<&Value>, got: Option<&Value>, lines: &mut Vec<String>) {
    match (wanted, got) {
        (Some(Value::Object(wanted)), Some(Value::Object(got))) => {
            for (name, value) in wanted {
                compare(&format!("{place}.{name}"), Some(value), got.get(name), lines);
            }
            for (name, value) in got.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
                compare(&format!("{place}.{name}"), None, Some(value), lines);
            }
        }
        (Some(Value::Array(wanted)), Some(Value::Array(got))) => {
            for at in 0..wanted.len().max(got.len()) {
                compare(&format!("{place}[{at}]"), wanted.get(at), got.get(at), lines);
            }
        }
        (wanted, got) if wanted == got => {}
        (wanted, got) => lines.push(format!("{place}: expected {}, got {}", word(wanted), word(got))),
    }
}

fn word(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| short(value, VALUE_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_difference_names_its_place() {
        let wanted = json!({ "a": [1, { "b": "x" }], "gone": true });
        let got = json!({ "a": [1, { "b": "y" }, 3], "new": 1 });
        assert_eq!(
            differences("output", &wanted, &got),
            [
                "output.a[1].b: expected \"x\", got \"y\"",
                "output.a[2]: expected nothing, got 3",
                "output.gone: expected true, got nothing",
                "output.new: expected nothing, got 1",
            ]
        );
        assert!(differences("output", &wanted, &wanted).is_empty());
        assert!(
            differences_of_members("error", &json!({ "kind": "remote" }), &json!({ "kind": "remote", "status": 1 }))
                .is_empty()
        );
        assert_eq!(differences("n", &json!((0..40).collect::<Vec<_>>()), &json!([])).len(), LINES_MAX + 1);
    }
}
