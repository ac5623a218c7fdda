//! How deep a JSON document may nest: what is kept must be readable again.

use serde_json::Value;

/// The reader gives up at 127 levels, and rows add a few of their own around a value.
pub(crate) const DEPTH_MAX: usize = 100;

/// Whether a value nests deeper than may be kept.
pub(crate) fn is_too_deep(value: &Value) -> bool {
    exceeds(value, DEPTH_MAX)
}

fn exceeds(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left == 0 || items.iter().any(|item| exceeds(item, left - 1)),
        Value::Object(fields) => left == 0 || fields.values().any(|field| exceeds(field, left - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_levels_pass() {
        let nested = |levels: usize| -> Value {
            serde_json::from_str(&format!("{}{}", "[".repeat(levels), "]".repeat(levels))).expect("JSON")
        };
        assert!(!is_too_deep(&nested(DEPTH_MAX)));
        assert!(is_too_deep(&nested(DEPTH_MAX + 1)));
        assert!(!is_too_deep(&Value::Null));
    }
}
