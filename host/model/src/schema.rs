//! JSON Schemas of connectors: compiled once, checked with words people understand.
//!
//! Schemas are written by strangers: what one costs is bounded before it is compiled,
//! and its patterns run in linear time.

mod bounds;

use std::fmt;
use std::sync::Arc;

use jsonschema::PatternOptions;
use serde_json::Value;

use crate::failure::FieldProblem;

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The compiler's words.
    #[error("the schema is not valid JSON Schema 2020-12: {0}")]
    Invalid(String),
    /// The document itself is too large.
    #[error("the schema has more than {0} values; describe less of the data")]
    TooManyNodes(usize),
    /// The document is small, and stands for a large one.
    #[error("the schema has more than {0} values once its references are followed; describe less of the data")]
    TooLargeExpanded(usize),
    /// Nested too deep.
    #[error("the schema has more than {0} levels once its references are followed; describe less of the data")]
    TooDeep(usize),
    /// Too many regular expressions.
    #[error("the schema has more than {0} patterns; check fewer texts by pattern")]
    TooManyPatterns(usize),
    /// A reference that contains itself.
    #[error("in the schema the reference {0:?} leads back to itself; write out as many levels as the data has")]
    Recursive(String),
    /// A reference to elsewhere, to nothing, or by another way than a pointer.
    #[error("the schema has the reference {0:?}; only those such as #/$defs/name, to what is there, are followed")]
    Reference(String),
    /// A schema of another identity within.
    #[error("the schema has an $id below its root, which changes what references mean; leave it out")]
    IdentityInside,
}

/// A JSON Schema 2020-12, compiled. References outside the document are refused, and
/// so are recursive ones; patterns are without look-around and back-references.
#[derive(Clone)]
pub struct Schema {
    document: Arc<Value>,
    validator: Arc<jsonschema::Validator>,
}

/// Reporting more would not help a person.
const PROBLEMS_MAX: usize = 20;
/// Long values are cut in messages.
const SHOWN_CHARS_MAX: usize = 60;

impl Schema {
    /// Compiles a schema document.
    ///
    /// # Errors
    /// When it is not valid JSON Schema 2020-12, refers outside or back to itself, or
    /// is too large, its local references followed.
    pub fn compile(document: &Value) -> Result<Self, SchemaError> {
        bounds::check(document)?;
        Self::compile_own(document)
    }

    /// Compiles a document of the host's own, which may be recursive and is not
    /// bounded. Never for one that somebody else wrote.
    ///
    /// # Errors
    /// When it is not valid JSON Schema 2020-12, or refers outside itself.
    pub fn compile_own(document: &Value) -> Result<Self, SchemaError> {
        let patterns = PatternOptions::regex().size_limit(bounds::PATTERN_BYTES_MAX);
        let validator = jsonschema::draft202012::options()
            .with_pattern_options(patterns)
            .build(document)
            .map_err(|error| SchemaError::Invalid(error.to_string()))?;
        Ok(Self { document: Arc::new(document.clone()), validator: Arc::new(validator) })
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Every problem of `value`, at most 20; empty when it fits.
    pub fn check(&self, value: &Value) -> Vec<FieldProblem> {
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        self.validator.iter_errors(value).take(PROBLEMS_MAX).map(|error| to_problem(&error)).collect()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.document)
    }
}

fn to_problem(error: &jsonschema::ValidationError<'_>) -> FieldProblem {
    use jsonschema::error::ValidationErrorKind as Kind;
    let path = error.instance_path().to_string();
    let got = show(error.instance());
    let (path, expected, got) = match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            (
                format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")),
                "a value".to_owned(),
                "nothing".to_owned(),
            )
        }
        Kind::AdditionalProperties { unexpected } => {
            let name = unexpected.first().map_or("", String::as_str);
            (format!("{path}/{name}"), "no such field".to_owned(), "a field of that name".to_owned())
        }
        Kind::Type { kind } => (path, format!("{}", TypeWords(kind)), got),
        Kind::Enum { options } => (path, format!("one of {}", show(options)), got),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match choices(context, &path) {
            Some(choices) => (path, format!("one of {}", show(&Value::Array(choices))), got),
            None => (path, format!("a value that fits: {error}"), got),
        },
        Kind::Format { format } => (path, format_words(format), got),
        _ => (path, format!("a value that fits: {error}"), got),
    };
    FieldProblem { path, expected, got }
}

/// The constants that a combination of schemas lists, when it lists nothing else.
fn choices(context: &[Vec<jsonschema::ValidationError<'_>>], path: &str) -> Option<Vec<Value>> {
    let of_part = |errors: &[jsonschema::ValidationError<'_>]| errors.iter().find_map(|error| constants(error, path));
    let parts = context.iter().map(|errors| of_part(errors)).collect::<Option<Vec<_>>>()?;
    let found: Vec<Value> = parts.into_iter().flatten().collect();
    let listed = !found.is_empty() && found.iter().all(|value| !value.is_object() && !value.is_array());
    listed.then_some(found)
}

/// The constants that one error says were wanted at this path, not below it.
fn constants(error: &jsonschema::ValidationError<'_>, path: &str) -> Option<Vec<Value>> {
    use jsonschema::error::ValidationErrorKind as Kind;
    if error.instance_path().as_str() != path {
        return None;
    }
    match error.kind() {
        Kind::Constant { expected_value } => Some(vec![expected_value.as_ref().clone()]),
        Kind::Enum { options } => options.as_array().cloned(),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => choices(context, path),
        Kind::Type { kind } if TypeWords(kind).to_string() == type_words("null") => Some(vec![Value::Null]),
        _ => None,
    }
}

fn show(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(SHOWN_CHARS_MAX).chain("…".chars()).collect()
}

struct TypeWords<'a>(&'a jsonschema::error::TypeKind);

impl fmt::Display for TypeWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use jsonschema::error::TypeKind;
        match self.0 {
            TypeKind::Single(kind) => f.write_str(type_words(&kind.to_string())),
            TypeKind::Multiple(kinds) => {
                let words: Vec<String> = kinds.iter().map(|kind| type_words(&kind.to_string()).to_owned()).collect();
                f.write_str(&words.join(" or "))
            }
        }
    }
}

/// A JSON type in plain words.
pub fn type_words(kind: &str) -> &'static str {
    match kind {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        "null" => "nothing",
        _ => "another type",
    }
}

fn format_words(format: &str) -> String {
    match format {
        "date" => "an ISO 8601 date such as 2026-12-31".to_owned(),
        "date-time" => "an ISO 8601 date and time such as 2026-12-31T08:00:00Z".to_owned(),
        "email" => "an e-mail address".to_owned(),
        "uri" => "a URL".to_owned(),
        other => format!("text of the format {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_name_field_expectation_and_value() {
        let schema = Schema::compile(&json!({
            "type": "object",
            "properties": { "n": { "type": "integer" }, "s": { "enum": ["a", "b"] } },
            "required": ["n"],
            "additionalProperties": false
        }))
        .expect("valid");
        assert!(schema.check(&json!({ "n": 1, "s": "a" })).is_empty());
        for (value, wanted) in [
            (json!({}), "n expects a value, got nothing"),
            (json!({ "n": "x" }), "n expects a whole number, got \"x\""),
            (json!({ "n": 1, "s": "c" }), "s expects one of [\"a\",\"b\"], got \"c\""),
            (json!({ "n": 1, "t": 0 }), "t expects no such field, got a field of that name"),
            (json!(3), "the value expects an object, got 3"),
        ] {
            let problems = schema.check(&value);
            assert_eq!(problems[0].to_string(), wanted);
        }
    }

    #[test]
    fn constants_are_listed_however_a_schema_lists_them() {
        let constants = json!([{ "const": "GET", "title": "Get" }, { "type": "string", "const": "PUT" }]);
        for word in ["oneOf", "anyOf"] {
            let schema = Schema::compile(&json!({ "properties": { "m": { word: constants } } })).expect("valid");
            let problems = schema.check(&json!({ "m": "FETCH" }));
            assert_eq!(problems[0].to_string(), "m expects one of [\"GET\",\"PUT\"], got \"FETCH\"");
        }
        let kinds = ["a", "b"].map(|kind| json!({ "properties": { "kind": { "const": kind } } }));
        let below = Schema::compile(&json!({ "anyOf": kinds })).expect("valid").check(&json!({ "kind": "c" }));
        assert!(below[0].expected.starts_with("a value that fits"), "{}", below[0]);
        let mixed = json!({ "anyOf": [{ "const": "a" }, { "type": "integer" }] });
        let problems = Schema::compile(&mixed).expect("valid").check(&json!("b"));
        assert!(problems[0].expected.starts_with("a value that fits"), "{}", problems[0]);
    }

    #[test]
    fn refuses_what_is_no_schema() {
        for schema in [
            json!({ "type": "strin" }),
            json!({ "$ref": "https://example.com/schema.json" }),
            json!({ "pattern": "(a)\\1" }),
            json!({ "pattern": "(?=a)" }),
            json!({ "pattern": "((a{100}){100}){100}" }),
        ] {
            assert!(Schema::compile(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn patterns_take_linear_time() {
        let schema = Schema::compile(&json!({ "pattern": "^(a+)+$" })).expect("valid");
        assert!(schema.check(&json!("a".repeat(10_000))).is_empty());
        assert_eq!(schema.check(&json!("a".repeat(10_000) + "!")).len(), 1);
    }
}
