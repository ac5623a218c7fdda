//! Filters for values of any kind.

use std::collections::HashMap;

use minijinja::value::ValueKind;
use minijinja::{Value as View, filters};

use super::super::convert::{Budget, charge, to_json, to_view};
use super::call::{self, Call, Made, words};
use super::{Filter, Group, LOOKUP, Work, engines, own};

/// A few keys are enough to see the slip.
const KEYS_SHOWN_MAX: usize = 10;

pub(super) const GROUP: Group = Group {
    title: "Any value",
    about: "A value that is one whole expression keeps its type: `\"{{ 1 + 1 }}\"` is the number 2.",
    filters: &[
        Filter {
            name: "default",
            required: &[],
            optional: &["value", "also_empty"],
            named: &[],
            about: "The value, or another one when it is not there; with `true`, also when it is null, false, zero or empty.",
            examples: &[("'' | default('none', true)", "\"none\"")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::default)),
        },
        Filter {
            name: "d",
            required: &[],
            optional: &["value", "also_empty"],
            named: &[],
            about: "The same as `default`.",
            examples: &[("'' | d('none', true)", "\"none\"")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::default)),
        },
        Filter {
            name: LOOKUP,
            required: &["table"],
            optional: &["otherwise"],
            named: &[],
            about: "What the flow's table of this name (`tables:`) has for the value; `otherwise` when it has nothing.",
            examples: &[],
            work: Work::Lookup,
        },
        own(
            "tojson",
            &[],
            &[],
            "The value as JSON text.",
            &[("{'a': [1, none]} | tojson", r#""{\"a\":[1,null]}""#)],
            to_json_text,
        ),
        own(
            "parse_json",
            &[],
            &[],
            "The value that a JSON text stands for.",
            &[(r#"'{"a": [1, 2.5]}' | parse_json"#, r#"{"a": [1, 2.5]}"#)],
            parse_json,
        ),
        own(
            "string",
            &[],
            &[],
            "The value as text; what is no text as JSON writes it.",
            &[("7 | string", "\"7\""), ("true | string", "\"true\"")],
            |call| call::made(call::written(call.value)?),
        ),
        engines(
            "bool",
            "True or false: null, false, zero and what is empty are false.",
            &[("'' | bool", "false"), ("[0] | bool", "true")],
            |engine, name| engine.add_filter(name, filters::bool),
        ),
        engines(
            "length",
            "How many characters, items or fields.",
            &[("'añb' | length", "3"), ("[1, 2] | length", "2")],
            |engine, name| engine.add_filter(name, filters::length),
        ),
        engines("count", "The same as `length`.", &[("[1, 2] | count", "2")], |engine, name| {
            engine.add_filter(name, filters::length);
        }),
        own(
            "keys",
            &[],
            &[],
            "The names of an object's fields.",
            &[("{'a': 1, 'b': 2} | keys", r#"["a", "b"]"#)],
            keys,
        ),
        own(
            "values",
            &[],
            &[],
            "The values of an object's fields.",
            &[("{'a': 1, 'b': 2} | values", "[1, 2]")],
            values,
        ),
        engines(
            "items",
            "An object's fields as a list of pairs.",
            &[("{'a': 1, 'b': 2} | items", r#"[["a", 1], ["b", 2]]"#)],
            |engine, name| engine.add_filter(name, filters::items),
        ),
        own(
            "merge",
            &["other"],
            &[],
            "An object with the fields of two; the second one's count.",
            &[("{'a': 1, 'b': 2} | merge({'b': 3})", r#"{"a": 1, "b": 3}"#)],
            merge,
        ),
    ],
};

fn to_json_text(call: &Call<'_>) -> Made {
    call::made(to_json(call.value, &mut Budget::default(), 0)?.to_string())
}

fn parse_json(call: &Call<'_>) -> Made {
    let Some(text) = call.value.as_str() else { return Err(format!("expects JSON text, got {}", words(call.value))) };
    let value = serde_json::from_str(text).map_err(|error| format!("expects JSON text: {error}"))?;
    charge(&value, &mut Budget::default())?;
    Ok(to_view(&value))
}

/// What the flow's table has for the value.
pub(in super::super) fn look_up(call: &Call<'_>, tables: Option<&View>) -> Made {
    let name = call.text_at(0, "table")?;
    let table = tables.and_then(|tables| tables.get_attr(&name).ok()).filter(|table| !table.is_undefined());
    let table = table.ok_or_else(|| format!("expects a table of the flow, got {name:?}"))?;
    let otherwise = call.arguments.get(1).filter(|value| !value.is_undefined());
    let key = match (call.text(), otherwise) {
        (Ok(key), _) => key,
        (Err(_), Some(otherwise)) => return Ok(otherwise.clone()),
        (Err(error), None) => return Err(error),
    };
    let found = table.get_attr(&key).unwrap_or(View::UNDEFINED);
    if !found.is_undefined() {
        return Ok(found);
    }
    let keys =
        || call::fields(&table).map(|fields| fields.into_iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>());
    otherwise.cloned().ok_or_else(|| {
        let mut keys = keys().unwrap_or_default();
        keys.truncate(KEYS_SHOWN_MAX);
        format!("expects a key of table {name}, which has {}, got {key:?}", keys.join(", "))
    })
}

fn keys(call: &Call<'_>) -> Made {
    Ok(call::fields(call.value)?.into_iter().map(|(key, _)| key).collect::<Vec<View>>().into())
}

fn values(call: &Call<'_>) -> Made {
    Ok(call::fields(call.value)?.into_iter().map(|(_, value)| value).collect::<Vec<View>>().into())
}

fn merge(call: &Call<'_>) -> Made {
    let other = call.argument(0).filter(|other| other.kind() == ValueKind::Map);
    let other = other.ok_or_else(|| {
        format!("expects an object to merge, got {}", call.argument(0).map_or_else(|| "null".to_owned(), words))
    })?;
    let mut fields = call::fields(call.value)?;
    let places: HashMap<View, usize> = fields.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
    for (key, value) in call::fields(other)? {
        match places.get(&key) {
            Some(at) => fields[*at].1 = value,
            None => fields.push((key, value)),
        }
    }
    Ok(View::from_pairs(fields))
}
