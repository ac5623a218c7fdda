//! What people may see of inputs and outputs: values whose schema calls them secret,
//! and values under names that only secrets have, are not shown.

use serde_json::{Map, Value};

/// What stands for a value that is not shown.
pub(crate) const REDACTED: &str = "[redacted]";

/// Names that only secrets have, compared without case, `-` and `_`.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "accesstoken",
    "refreshtoken",
    "clientsecret",
    "authorization",
    "privatekey",
];

/// The value without what its schema marks with `secret` or `writeOnly`, or what is
/// named like a secret.
pub(crate) fn redact(schema: Option<&Value>, value: &Value) -> Value {
    let root = schema;
    redact_at(root, schema, value)
}

fn redact_at(root: Option<&Value>, schema: Option<&Value>, value: &Value) -> Value {
    let schema = schema.map(|schema| resolve(root, schema));
    if schema.is_some_and(is_secret) && !value.is_null() {
        return Value::String(REDACTED.to_owned());
    }
    match value {
        Value::Object(fields) => Value::Object(redact_fields(root, schema, fields)),
        Value::Array(items) => {
            let of_items = schema.and_then(|schema| schema.get("items"));
            Value::Array(items.iter().map(|item| redact_at(root, of_items, item)).collect())
        }
        plain => plain.clone(),
    }
}

fn redact_fields(root: Option<&Value>, schema: Option<&Value>, fields: &Map<String, Value>) -> Map<String, Value> {
    let properties = schema.and_then(|schema| schema.get("properties"));
    let redacted = |(name, value): (&String, &Value)| {
        let of_field = properties.and_then(|properties| properties.get(name));
        let shown = if is_secret_name(name) && value.is_string() {
            Value::String(REDACTED.to_owned())
        } else {
            redact_at(root, of_field, value)
        };
        (name.clone(), shown)
    };
    fields.iter().map(redacted).collect()
}

fn resolve<'a>(root: Option<&'a Value>, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| root?.pointer(pointer)).unwrap_or(schema)
}

fn is_secret(schema: &Value) -> bool {
    let marked = |mark| schema.get(mark) == Some(&Value::Bool(true));
    marked("secret") || marked("writeOnly")
}

fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
    SECRET_NAMES.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hides_what_schema_or_name_calls_secret() {
        let schema = json!({
            "properties": {
                "pin": { "writeOnly": true },
                "list": { "items": { "$ref": "#/$defs/entry" } }
            },
            "$defs": { "entry": { "properties": { "code": { "secret": true } } } }
        });
        let value = json!({ "pin": 1234, "list": [{ "code": "x", "name": "n" }], "API_Key": "k", "tokens": 3 });
        assert_eq!(
            redact(Some(&schema), &value),
            json!({ "pin": REDACTED, "list": [{ "code": REDACTED, "name": "n" }], "API_Key": REDACTED, "tokens": 3 })
        );
        assert_eq!(redact(None, &json!("plain")), json!("plain"));
    }
}
