//! What a JSON Schema says of a path: a field it has, one it does not, or nothing.
//!
//! An object schema that lists properties and says nothing of others is taken at
//! its word: a reference to another field is a slip. One that has more fields says
//! `additionalProperties: true`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::template::Segment;

/// Schemas looked at for one step of a path; one that needs more refers to itself,
/// and is taken for open.
const SCHEMAS_MAX: usize = 200;

/// What is known of a value.
#[derive(Debug, Clone)]
pub(super) struct Shape(pub(super) Value);

/// What a shape says of a path.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'s> {
    /// Anything may be there.
    Open,
    /// One of these schemas describes it.
    Is(Vec<&'s Value>),
    /// Nothing can be there. `depth` segments were found; the last of them has these names.
    Missing { depth: usize, names: Vec<&'s str> },
}

impl Shape {
    /// Nothing is known.
    pub(super) fn open() -> Self {
        Self(Value::Bool(true))
    }

    pub(super) fn walk(&self, path: &[Segment]) -> Found<'_> {
        let mut at = Vec::new();
        self.collect(&self.0, &mut { SCHEMAS_MAX }, &mut at);
        for (depth, segment) in path.iter().enumerate() {
            let mut below = Vec::new();
            let mut left = SCHEMAS_MAX;
            for schema in &at {
                match enter(schema, segment) {
                    Entered::Open => return Found::Open,
                    Entered::Is(found) => self.collect(found, &mut left, &mut below),
                    Entered::Missing => {}
                }
            }
            if below.is_empty() {
                let names = at.iter().flat_map(|schema| names(schema)).collect();
                return Found::Missing { depth, names };
            }
            at = below;
        }
        Found::Is(at)
    }

    /// The JSON types that a value at this path may have; None when any.
    pub(super) fn types(&self, path: &[Segment]) -> Option<BTreeSet<String>> {
        match self.walk(path) {
            Found::Is(schemas) => schemas.into_iter().map(types_of).try_fold(BTreeSet::new(), |mut all, types| {
                all.extend(types?);
                Some(all)
            }),
            Found::Open | Found::Missing { .. } => None,
        }
    }

    /// The fields that are known at a path.
    pub(super) fn names(&self, path: &[Segment]) -> Vec<String> {
        match self.walk(path) {
            Found::Is(schemas) => schemas.into_iter().flat_map(names).map(str::to_owned).collect(),
            Found::Open | Found::Missing { .. } => Vec::new(),
        }
    }

    /// The texts that a path is limited to, as far as schemas list them.
    pub(super) fn choices(&self, path: &[Segment]) -> Vec<String> {
        let Found::Is(schemas) = self.walk(path) else { return Vec::new() };
        let listed = |schema: &Value| {
            let many = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
            let texts = schema.get("const").into_iter().chain(many).filter_map(Value::as_str);
            texts.map(str::to_owned).collect::<Vec<_>>()
        };
        schemas.into_iter().flat_map(listed).collect()
    }

    /// The shape at a path, when it can stand alone.
    pub(super) fn at(&self, path: &[Segment]) -> Self {
        match self.walk(path) {
            Found::Is(schemas) if schemas.len() == 1 && !schemas[0].to_string().contains("\"$ref\"") => {
                Self(schemas[0].clone())
            }
            Found::Is(_) | Found::Open | Found::Missing { .. } => Self::open(),
        }
    }

    /// The schemas that a schema stands for, references and combinations resolved.
    fn collect<'s>(&'s self, schema: &'s Value, left: &mut usize, found: &mut Vec<&'s Value>) {
        static ANYTHING: Value = Value::Bool(true);
        if *left == 0 {
            found.push(&ANYTHING);
            return;
        }
        *left -= 1;
        let mut combined = false;
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            combined = true;
            match reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer)) {
                Some(target) => self.collect(target, left, found),
                None => found.push(&ANYTHING),
            }
        }
        for word in ["allOf", "anyOf", "oneOf"] {
            for part in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
                combined = true;
                self.collect(part, left, found);
            }
        }
        let says = |word: &str| schema.get(word).is_some();
        if !combined || says("properties") || says("items") || says("prefixItems") {
            found.push(schema);
        }
    }
}

enum Entered<'s> {
    Open,
    Is(&'s Value),
    Missing,
}

fn enter<'s>(schema: &'s Value, segment: &Segment) -> Entered<'s> {
    match (schema, segment) {
        (Value::Bool(true), _) => Entered::Open,
        (Value::Object(_), Segment::Field(name)) => enter_field(schema, name),
        (Value::Object(_), Segment::Index(index)) => enter_item(schema, *index),
        _ => Entered::Missing,
    }
}

fn enter_field<'s>(schema: &'s Value, name: &str) -> Entered<'s> {
    if !may_be(schema, "object") {
        return Entered::Missing;
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(found) = properties.and_then(|properties| properties.get(name)) {
        return Entered::Is(found);
    }
    if schema.get("patternProperties").is_some() {
        return Entered::Open;
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => Entered::Missing,
        Some(Value::Bool(true)) => Entered::Open,
        Some(more) => Entered::Is(more),
        None if properties.is_some_and(|properties| !properties.is_empty()) => Entered::Missing,
        None => Entered::Open,
    }
}

fn enter_item(schema: &Value, index: usize) -> Entered<'_> {
    if !may_be(schema, "array") {
        return Entered::Missing;
    }
    let first = schema.get("prefixItems").and_then(|items| items.get(index));
    match first.or_else(|| schema.get("items")) {
        Some(Value::Bool(false)) => Entered::Missing,
        Some(found) => Entered::Is(found),
        None => Entered::Open,
    }
}

fn may_be(schema: &Value, kind: &str) -> bool {
    types_of(schema).is_none_or(|types| types.iter().any(|found| found == kind))
}

fn types_of(schema: &Value) -> Option<Vec<String>> {
    if let Some(constant) = schema.get("const") {
        return Some(vec![type_of(constant).to_owned()]);
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return Some(choices.iter().map(|choice| type_of(choice).to_owned()).collect());
    }
    match schema.get("type")? {
        Value::String(kind) => Some(vec![kind.clone()]),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn names(schema: &Value) -> impl Iterator<Item = &str> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|properties| properties.keys())
        .map(String::as_str)
}

/// The schema that a constant has.
pub(super) fn of_constant(value: &Value) -> Value {
    match value {
        Value::Object(fields) => of_object(fields.iter().map(|(name, value)| (name.clone(), of_constant(value)))),
        Value::Array(items) => of_list(items.iter().map(of_constant).collect()),
        scalar => json!({ "type": type_of(scalar) }),
    }
}

/// The schema of an object with exactly these fields.
pub(super) fn of_object(fields: impl Iterator<Item = (String, Value)>) -> Value {
    json!({ "type": "object", "properties": fields.collect::<serde_json::Map<_, _>>(), "additionalProperties": false })
}

/// The schema of a list with exactly these items.
pub(super) fn of_list(items: Vec<Value>) -> Value {
    json!({ "type": "array", "prefixItems": items, "items": false })
}

/// Whether a value of one of these types can be one of those.
pub(super) fn compatible(given: &BTreeSet<String>, wanted: &BTreeSet<String>) -> bool {
    let numeric = |kind: &String| kind == "integer" || kind == "number";
    given.iter().any(|kind| wanted.contains(kind) || (numeric(kind) && wanted.iter().any(numeric)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::parse_path;

    #[test]
    fn a_path_is_found_missing_or_open() {
        let shape = Shape(json!({
            "$defs": {
                "user": { "type": "object", "properties": { "login": { "type": "string" }, "boss": { "$ref": "#/$defs/user" } } },
                "loop": { "$ref": "#/$defs/loop" }
            },
            "type": "object",
            "properties": {
                "user": { "$ref": "#/$defs/user" },
                "maybe": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/user" }] },
                "users": { "type": "array", "items": { "$ref": "#/$defs/user" } },
                "pair": { "type": "array", "prefixItems": [{ "type": "integer" }], "items": false },
                "extra": { "type": "object", "properties": { "a": {} }, "additionalProperties": true },
                "labels": { "type": "object", "additionalProperties": { "type": "integer" } },
                "bag": { "type": "object" },
                "loop": { "$ref": "#/$defs/loop" },
                "count": { "type": "integer" }
            }
        }));
        for (path, wanted) in [
            ("x.user.login", Some("string")),
            ("x.user.boss.boss.login", Some("string")),
            ("x.user.name", None),
            ("x.maybe.login", Some("string")),
            ("x.maybe.name", None),
            ("x.users[0].login", Some("string")),
            ("x.users.login", None),
            ("x.pair[0]", Some("integer")),
            ("x.pair[1]", None),
            ("x.extra.other", Some("open")),
            ("x.labels.any", Some("integer")),
            ("x.bag.any.thing", Some("open")),
            ("x.loop.any", Some("open")),
            ("x.count.digits", None),
            ("x.nothing", None),
        ] {
            let path_below = parse_path(path);
            let found = match shape.walk(&path_below) {
                Found::Open => Some("open".to_owned()),
                Found::Missing { .. } => None,
                Found::Is(_) => Some(
                    shape
                        .types(&path_below)
                        .map_or("open".to_owned(), |types| types.into_iter().collect::<Vec<_>>().join(",")),
                ),
            };
            assert_eq!(found.as_deref(), wanted, "{path}");
        }
    }
}
