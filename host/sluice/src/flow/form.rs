//! A manual flow's form: fields from the command line, and questions for what is
//! missing, each typed by the flow's schema.
//!
//! Checks only what typing needs; the host checks the whole input as it checks every
//! other.

use std::io::{BufRead, IsTerminal as _, Write as _};

use model::Problem;
use serde_json::{Map, Value};

use crate::exit::{Exit, Stop};

/// How often one question is asked before it is given up.
const ASKED_MAX: usize = 5;

/// The event: the input with the fields put in, and what is needed asked for, or else
/// its default.
pub(crate) fn event(schema: Option<&Value>, input: Value, fields: &[String], ask: bool) -> Result<Value, Stop> {
    let empty = Value::Object(Map::new());
    let schema = schema.unwrap_or(&empty);
    let is_form = input.is_null() || input.is_object();
    let asks = ask && is_form && std::io::stdin().is_terminal();
    let defaults = if is_form && !asks { defaults(schema) } else { Vec::new() };
    if fields.is_empty() && !asks && defaults.is_empty() {
        return Ok(input);
    }
    let mut event = match input {
        Value::Object(event) => event,
        Value::Null => Map::new(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return Err(not_an_object()),
    };
    for field in fields {
        let (name, text) = field.split_once('=').ok_or_else(|| not_a_field(field))?;
        event.insert(name.to_owned(), typed(schema, name, text).map_err(|problem| Stop::new(Exit::Usage, problem))?);
    }
    if asks {
        ask_for(schema, &mut event, &mut std::io::stdin().lock())?;
    }
    for (name, default) in defaults {
        event.entry(name).or_insert_with(|| default.clone());
    }
    Ok(if event.is_empty() && !takes_objects(schema) { Value::Null } else { Value::Object(event) })
}

fn not_an_object() -> Stop {
    Stop::new(
        Exit::Usage,
        Problem::new("input-not-object", "--field puts a field into an object, and --input is none")
            .fix("leave --input out, or write the whole input there"),
    )
}

fn not_a_field(text: &str) -> Stop {
    Stop::new(
        Exit::Usage,
        Problem::new("malformed-field", format!("{text:?} is not a name and a value")).fix("write --field name=value"),
    )
}

fn takes_objects(schema: &Value) -> bool {
    schema.get("properties").is_some() || schema.get("type").is_some_and(|kind| kind == "object")
}

/// A field's value, as its schema says it is. Without a type: JSON, or else text.
fn typed(schema: &Value, name: &str, text: &str) -> Result<Value, Problem> {
    let field = schema.get("properties").and_then(|fields| fields.get(name));
    let Some(field) = field else { return unknown(schema, name).map_or_else(|| Ok(json_or_text(text)), Err) };
    if let Some(choices) = field.get("enum").and_then(Value::as_array) {
        let found = choices.iter().find(|choice| shown(choice) == text).cloned();
        let words = || choices.iter().map(shown).collect::<Vec<_>>().join(", ");
        return found.ok_or_else(|| wrong(name, &format!("one of {}", words()), text));
    }
    let kinds = kinds(field);
    if kinds.is_empty() {
        return Ok(json_or_text(text));
    }
    let found = kinds.iter().find_map(|kind| as_kind(kind, text));
    found.ok_or_else(|| wrong(name, &kinds.join(" or "), text))
}

/// A field that the form does not have, if it says what it has.
fn unknown(schema: &Value, name: &str) -> Option<Problem> {
    let fields = schema.get("properties")?.as_object()?;
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return None;
    }
    let problem = Problem::new("unknown-field", format!("the flow's form has no field {name:?}"));
    Some(match model::nearest(name, fields.keys().map(String::as_str)) {
        Some(near) => problem.fix(format!("write --field {near}=...")),
        None => problem.fix("look at the form: sluice flow show ID"),
    })
}

fn wrong(name: &str, expected: &str, text: &str) -> Problem {
    Problem::new("wrong-type", format!("{name} expects {expected}, got {text:?}")).field(name.to_owned())
}

/// Narrower kinds first: the text 5 is a number where both may be.
fn kinds(field: &Value) -> Vec<String> {
    const ORDER: [&str; 7] = ["null", "boolean", "integer", "number", "array", "object", "string"];
    let has = |kind: &&str| match field.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|known| known == kind),
        Some(known) => known == kind,
        None => false,
    };
    ORDER.iter().filter(|kind| has(kind)).map(|kind| (*kind).to_owned()).collect()
}

fn as_kind(kind: &str, text: &str) -> Option<Value> {
    let parsed = || serde_json::from_str::<Value>(text.trim()).ok();
    match kind {
        "string" => Some(Value::String(text.to_owned())),
        "boolean" => match text.trim() {
            "true" | "yes" => Some(Value::Bool(true)),
            "false" | "no" => Some(Value::Bool(false)),
            _ => None,
        },
        "integer" => parsed().filter(|value| value.is_i64() || value.is_u64()),
        "number" => parsed().filter(Value::is_number),
        "array" => parsed().filter(Value::is_array),
        "object" => parsed().filter(Value::is_object),
        "null" => text.trim().is_empty().then_some(Value::Null),
        _ => None,
    }
}

fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Asks for each needed field that is not there.
fn ask_for(schema: &Value, event: &mut Map<String, Value>, answers: &mut impl BufRead) -> Result<(), Stop> {
    for name in needed(schema) {
        if !event.contains_key(name) {
            event.insert(name.to_owned(), ask_one(schema, name, answers)?);
        }
    }
    Ok(())
}

fn needed(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn default_of<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    schema.get("properties")?.get(name)?.get("default")
}

/// The needed fields that have a default.
fn defaults(schema: &Value) -> Vec<(&str, &Value)> {
    needed(schema).filter_map(|name| Some((name, default_of(schema, name)?))).collect()
}

fn ask_one(schema: &Value, name: &str, answers: &mut impl BufRead) -> Result<Value, Stop> {
    let field = schema.get("properties").and_then(|fields| fields.get(name));
    let default = default_of(schema, name);
    for _ in 0..ASKED_MAX {
        eprint!("{}", question(name, field, default));
        // A terminal that takes no prompt still gives answers.
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        if answers.read_line(&mut line).map_err(anyhow::Error::new)? == 0 {
            break;
        }
        let text = line.trim_end_matches(['\n', '\r']);
        match default.filter(|_| text.is_empty()) {
            Some(default) => return Ok(default.clone()),
            None => match typed(schema, name, text) {
                Ok(value) => return Ok(value),
                Err(problem) => eprintln!("{problem}"),
            },
        }
    }
    let problem = Problem::new("field-missing", format!("the flow needs {name}")).field(name.to_owned());
    Err(Stop::new(Exit::Usage, problem.fix(format!("write --field {name}=VALUE"))))
}

fn question(name: &str, field: Option<&Value>, default: Option<&Value>) -> String {
    let words = ["title", "description"].iter().find_map(|key| field?.get(*key)?.as_str());
    let words = words.map(|words| format!(", {words}")).unwrap_or_default();
    let kinds = field.map(kinds).filter(|kinds| !kinds.is_empty());
    let kinds = kinds.map(|kinds| format!(" ({})", kinds.join(" or "))).unwrap_or_default();
    let default = default.map(|default| format!(" [{}]", shown(default))).unwrap_or_default();
    format!("{name}{words}{kinds}{default}: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object", "required": ["title", "count"], "additionalProperties": false,
            "properties": {
                "title": { "type": "string" }, "count": { "type": "integer", "default": 3 },
                "ratio": { "type": ["number", "null"] }, "urgent": { "type": "boolean" },
                "tags": { "type": "array" }, "level": { "enum": ["low", 2] }
            }
        })
    }

    #[test]
    fn fields_are_typed_by_the_schema() {
        for (name, text, wanted) in [
            ("title", "5", json!("5")),
            ("count", "5", json!(5)),
            ("ratio", "0.5", json!(0.5)),
            ("ratio", "", json!(null)),
            ("urgent", "yes", json!(true)),
            ("tags", "[\"a\"]", json!(["a"])),
            ("level", "2", json!(2)),
            ("level", "low", json!("low")),
        ] {
            assert_eq!(typed(&schema(), name, text).expect(name), wanted, "{name}={text}");
        }
        for (name, text, wanted) in [
            ("count", "5.5", "count expects integer, got \"5.5\""),
            ("urgent", "maybe", "urgent expects boolean"),
            ("level", "high", "level expects one of low, 2"),
            ("titel", "x", "has no field \"titel\""),
        ] {
            let problem = typed(&schema(), name, text).expect_err(name).to_string();
            assert!(problem.contains(wanted), "{problem}");
        }
        assert_eq!(typed(&json!({}), "any", "{\"a\":1}").expect("any"), json!({ "a": 1 }));
        assert_eq!(typed(&json!({}), "any", "text").expect("any"), json!("text"));
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        let mut event = Map::new();
        ask_for(&schema(), &mut event, &mut &b"Disk full\nmany\n\n"[..]).expect("answered");
        assert_eq!(Value::Object(event), json!({ "title": "Disk full", "count": 3 }));
        let stop = ask_for(&schema(), &mut Map::new(), &mut &b""[..]).expect_err("no answer");
        assert_eq!(stop.problems[0].code, "field-missing");
    }

    #[test]
    fn needed_fields_have_their_defaults() {
        let made = |input, fields: &[String]| event(Some(&schema()), input, fields, false).expect("an event");
        assert_eq!(made(Value::Null, &["title=a".to_owned()]), json!({ "title": "a", "count": 3 }));
        assert_eq!(made(json!({ "title": "a" }), &[]), json!({ "title": "a", "count": 3 }));
        assert_eq!(made(json!({ "count": 1 }), &[]), json!({ "count": 1 }), "the host says what is missing");
        assert_eq!(made(json!([1]), &[]), json!([1]));
    }

    #[test]
    fn input_and_fields_come_together() {
        let fields = ["count=4".to_owned()];
        let made = event(Some(&schema()), json!({ "title": "a" }), &fields, false).expect("an event");
        assert_eq!(made, json!({ "title": "a", "count": 4 }));
        assert_eq!(event(None, Value::Null, &[], false).expect("an event"), Value::Null);
        assert!(event(None, json!([1]), &fields, false).is_err());
        assert!(event(None, Value::Null, &["count".to_owned()], false).is_err());
    }
}
