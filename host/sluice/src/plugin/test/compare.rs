//! Differences between what a sample says and what came, at most a dozen lines.

use model::{Difference, Extent};
use serde_json::Value;

/// More lines help nobody.
const LINES_MAX: usize = 12;

/// What differs, by place: `output.items[0].name: expected "a", got "b"`.
pub(super) fn differences(place: &str, wanted: &Value, got: &Value) -> Vec<String> {
    let all = model::differences(place, wanted, got, Extent::Whole);
    let mut lines: Vec<String> = all.iter().take(LINES_MAX).map(Difference::to_string).collect();
    if all.len() > LINES_MAX {
        lines.push(format!("and {} more differences", all.len() - LINES_MAX));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn many_differences_are_counted() {
        assert_eq!(differences("n", &json!((0..40).collect::<Vec<_>>()), &json!([])).len(), LINES_MAX + 1);
        assert!(
            differences_of_members("error", &json!({ "kind": "remote" }), &json!({ "kind": "remote", "status": 1 }))
                .is_empty()
        );
        assert_eq!(
            differences_of_members("error", &json!({ "kind": "remote" }), &json!({})),
            ["error.kind: expected \"remote\", got null"]
        );
    }
}
