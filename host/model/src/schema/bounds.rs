//! What a schema may cost, found before it is compiled.
//!
//! A small document can stand for a huge one: references are followed wherever they
//! stand, and each may double the work. So the document is walked the way that the
//! compiler would, with a count. Whatever the walk could not follow exactly as the
//! compiler does (anchors, identities inside, encoded pointers) is refused; so data
//! that merely looks like a reference is refused too, never followed too little.

use serde_json::{Map, Value};

use super::SchemaError;

/// Values in the document. 20,000: 40 times the largest schema that connectors ship.
const NODES_MAX: usize = 20_000;
/// Values with local references followed. 50,000: definitions are counted where they
/// are used and where they stand.
const EXPANDED_MAX: usize = 50_000;
/// Levels with references followed: the compiler and the checks recurse.
const DEPTH_MAX: usize = 200;
/// Regular expressions, each of which may take `PATTERN_BYTES_MAX` compiled.
const PATTERNS_MAX: usize = 200;
/// One regular expression compiled; together at most 100 MiB.
pub(super) const PATTERN_BYTES_MAX: usize = 512 << 10;

/// Refuses a schema that would take long to compile or to check.
pub(super) fn check(document: &Value) -> Result<(), SchemaError> {
    if count(document) > NODES_MAX {
        return Err(SchemaError::TooManyNodes(NODES_MAX));
    }
    Walk { document, expanded: 0, patterns: 0, followed: Vec::new() }.visit(document, 0)
}

/// Without recursion, and no further than the limit.
fn count(document: &Value) -> usize {
    let (mut waiting, mut nodes) = (vec![document], 0);
    while let Some(value) = waiting.pop() {
        nodes += 1;
        if nodes > NODES_MAX {
            break;
        }
        match value {
            Value::Array(items) => waiting.extend(items),
            Value::Object(fields) => waiting.extend(fields.values()),
            _ => {}
        }
    }
    nodes
}

struct Walk<'a> {
    document: &'a Value,
    expanded: usize,
    patterns: usize,
    /// The references that lead to where the walk is.
    followed: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, value: &'a Value, depth: usize) -> Result<(), SchemaError> {
        self.expanded += 1;
        if self.expanded > EXPANDED_MAX {
            return Err(SchemaError::TooLargeExpanded(EXPANDED_MAX));
        }
        if depth > DEPTH_MAX {
            return Err(SchemaError::TooDeep(DEPTH_MAX));
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.visit(item, depth + 1)),
            Value::Object(fields) => self.visit_object(fields, depth),
            _ => Ok(()),
        }
    }

    fn visit_object(&mut self, fields: &'a Map<String, Value>, depth: usize) -> Result<(), SchemaError> {
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("$ref", Value::String(reference)) => self.follow(reference, depth)?,
                ("$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                    return Err(SchemaError::Reference(super::cut(reference)));
                }
                ("$id", Value::String(_)) if depth > 0 => return Err(SchemaError::IdentityInside),
                ("pattern", Value::String(_)) => self.count_patterns(1)?,
                ("patternProperties", Value::Object(patterns)) => self.count_patterns(patterns.len())?,
                _ => {}
            }
            self.visit(value, depth + 1)?;
        }
        Ok(())
    }

    fn follow(&mut self, reference: &'a str, depth: usize) -> Result<(), SchemaError> {
        let refuse = || SchemaError::Reference(super::cut(reference));
        let pointer = reference.strip_prefix('#').filter(|pointer| !pointer.contains('%')).ok_or_else(refuse)?;
        let target = self.document.pointer(pointer).ok_or_else(refuse)?;
        if self.followed.contains(&reference) {
            return Err(SchemaError::Recursive(super::cut(reference)));
        }
        self.followed.push(reference);
        self.visit(target, depth + 1)?;
        self.followed.pop();
        Ok(())
    }

    fn count_patterns(&mut self, more: usize) -> Result<(), SchemaError> {
        self.patterns += more;
        if self.patterns > PATTERNS_MAX { Err(SchemaError::TooManyPatterns(PATTERNS_MAX)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `depth` definitions, each of which uses the next one twice.
    fn doubling(depth: usize) -> Value {
        let definitions: Map<String, Value> = (0..=depth)
            .map(|n| {
                let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
                (
                    format!("d{n}"),
                    if n == depth { json!({ "type": "string" }) } else { json!({ "allOf": [next, next] }) },
                )
            })
            .collect();
        json!({ "$ref": "#/$defs/d0", "$defs": definitions })
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(true), |inner, _| json!({ "not": inner }))
    }

    #[test]
    fn what_would_take_long_is_refused() {
        let chain: Map<String, Value> =
            (0..300).map(|n| (format!("d{n}"), json!({ "$ref": format!("#/$defs/d{}", n + 1) }))).collect();
        let patterns: Map<String, Value> = (0..201).map(|n| (format!("^{n}$"), json!(true))).collect();
        for (schema, wanted) in [
            (doubling(40), "more than 50000 values once its references are followed"),
            (json!({ "enum": vec![0; 20_000] }), "more than 20000 values"),
            (nested(201), "more than 200 levels"),
            (json!({ "$ref": "#/$defs/d0", "$defs": chain }), "more than 200 levels"),
            (json!({ "patternProperties": patterns }), "more than 200 patterns"),
            (json!({ "properties": { "next": { "$ref": "#" } } }), "the reference \"#\" leads back to itself"),
            (
                json!({ "$ref": "#/$defs/a", "$defs": { "a": { "not": { "$ref": "#/$defs/b" } }, "b": { "$ref": "#/$defs/a" } } }),
                "leads back to itself",
            ),
            (json!({ "$ref": "https://example.com/schema.json" }), "only those such as #/$defs/name"),
            (json!({ "$ref": "#name", "$defs": { "a": { "$anchor": "name" } } }), "only those such as #/$defs/name"),
            (json!({ "$ref": "#/$defs/none" }), "only those such as #/$defs/name"),
            (json!({ "$ref": "#/$defs/%61", "$defs": { "a": true } }), "only those such as #/$defs/name"),
            (json!({ "$dynamicRef": "#a", "$defs": { "a": { "$dynamicAnchor": "a" } } }), "only those such as"),
            (json!({ "$defs": { "a": { "$id": "https://example.com/a" } } }), "an $id below its root"),
        ] {
            let error = check(&schema).expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn what_people_write_passes() {
        for schema in [
            json!(true),
            doubling(8),
            nested(60),
            json!({ "$id": "https://example.com/a", "$defs": { "a": true }, "items": { "$ref": "#/$defs/a" } }),
            json!({ "properties": { "$ref": { "type": "string" }, "$id": true, "pattern": {} } }),
            json!({ "$ref": "#/$defs/a~1b", "$defs": { "a/b": { "type": "string" } } }),
        ] {
            check(&schema).expect("passes");
        }
    }
}
