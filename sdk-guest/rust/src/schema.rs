//! JSON Schemas of connectors' types, as the manifest carries them.
//!
//! Owns the two contracts: what a connector takes is strict, so that a slip of the pen
//! in a flow is found by name; what it gives is open, so that it can grow.

use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The schema of what a flow gives: inputs and configurations.
pub(crate) fn taken<T: JsonSchema>() -> Value {
    let mut schema = generate::<T>(Contract::Deserialize);
    refuse_unknown_fields(&mut schema);
    schema
}

/// The schema of what a flow receives: outputs and events. Fields that are always
/// there are `required`.
pub(crate) fn given<T: JsonSchema>() -> Value {
    generate::<T>(Contract::Serialize)
}

fn generate<T: JsonSchema>(contract: Contract) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    settings.contract = contract;
    let mut schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    // Label and help of the operation stand above the form: a type's name and comment
    // would only repeat them.
    schema.remove("title");
    schema.remove("description");
    schema.to_value()
}

/// Closes every object that lists its fields and says nothing of others.
fn refuse_unknown_fields(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let lists_fields = object.get("type").is_some_and(names_object) && !object.contains_key("$ref");
            let composed = ["allOf", "anyOf", "oneOf"].iter().any(|key| object.contains_key(*key));
            let open = object.contains_key("additionalProperties") || object.contains_key("unevaluatedProperties");
            for (keyword, value) in object.iter_mut() {
                if !matches!(keyword.as_str(), "const" | "default" | "enum" | "examples") {
                    refuse_unknown_fields(value);
                }
            }
            if lists_fields && !composed && !open {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_unknown_fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn names_object(kind: &Value) -> bool {
    match kind {
        Value::String(name) => name == "object",
        Value::Array(names) => names.iter().any(|name| name == "object"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}
