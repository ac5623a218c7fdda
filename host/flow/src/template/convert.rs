//! Values between JSON and the expression engine, with limits on size and depth.

use minijinja::Value as View;
use minijinja::value::ValueKind;
use serde_json::{Map, Number, Value};

/// What one template may make, in bytes of text plus [`NODE_BYTES`] per value. As
/// much as an operation may return by default.
pub(super) const VALUE_BYTES_MAX: usize = 4 << 20;
/// What every value costs beside its text.
const NODE_BYTES: usize = 8;
/// serde_json reads no deeper either, so that what is journaled can be read again.
const DEPTH_MAX: usize = 100;
/// What is said of an expression that makes nothing at all.
pub(super) const NOT_THERE: &str = "the value is not there";

/// How much a template may still make.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Budget {
    left: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: VALUE_BYTES_MAX }
    }
}

impl Budget {
    /// So many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { left: bytes }
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let cost = bytes.saturating_add(NODE_BYTES);
        self.left = self
            .left
            .checked_sub(cost)
            .ok_or_else(|| format!("the value is larger than {} MiB", VALUE_BYTES_MAX >> 20))?;
        Ok(())
    }
}

/// Copies a value within the budget.
pub(super) fn copy(value: &Value, budget: &mut Budget) -> Result<Value, String> {
    charge(value, budget)?;
    Ok(value.clone())
}

/// Takes a value's size from the budget.
pub(crate) fn charge(value: &Value, budget: &mut Budget) -> Result<(), String> {
    charge_at(value, budget, 0)
}

fn charge_at(value: &Value, budget: &mut Budget, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => budget.spend(0),
        Value::String(text) => budget.spend(text.len()),
        Value::Array(items) => {
            budget.spend(0)?;
            items.iter().try_for_each(|item| charge_at(item, budget, depth + 1))
        }
        Value::Object(fields) => {
            budget.spend(0)?;
            fields.iter().try_for_each(|(name, item)| {
                budget.spend(name.len())?;
                charge_at(item, budget, depth + 1)
            })
        }
    }
}

fn too_deep() -> String {
    format!("the value is nested deeper than {DEPTH_MAX} levels")
}

/// A JSON value as expressions see it.
pub(crate) fn to_view(value: &Value) -> View {
    match value {
        Value::Null => View::from(()),
        Value::Bool(held) => View::from(*held),
        Value::Number(number) => number_view(number),
        Value::String(text) => View::from(text.as_str()),
        Value::Array(items) => View::from(items.iter().map(to_view).collect::<Vec<_>>()),
        Value::Object(fields) => View::from_pairs(fields.iter().map(|(name, item)| (name.as_str(), to_view(item)))),
    }
}

fn number_view(number: &Number) -> View {
    let whole = number.as_i64().map(View::from).or_else(|| number.as_u64().map(View::from));
    whole.unwrap_or_else(|| View::from(number.as_f64().unwrap_or(f64::NAN)))
}

/// What an expression made, as JSON.
pub(super) fn to_json(view: &View, budget: &mut Budget, depth: usize) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    match view.kind() {
        ValueKind::Undefined => Err(NOT_THERE.to_owned()),
        ValueKind::None => budget.spend(0).map(|()| Value::Null),
        ValueKind::Bool => budget.spend(0).map(|()| Value::Bool(view.is_true())),
        ValueKind::Number => budget.spend(0).and_then(|()| number(view)),
        ValueKind::String => {
            let text = view.as_str().unwrap_or_default();
            budget.spend(text.len())?;
            Ok(Value::String(text.to_owned()))
        }
        ValueKind::Seq | ValueKind::Iterable => list(view, budget, depth),
        ValueKind::Map => object(view, budget, depth),
        ValueKind::Bytes | ValueKind::Plain | ValueKind::Invalid => Err(format!("{} is no JSON value", view.kind())),
        other => Err(format!("{other} is no JSON value")),
    }
}

fn number(view: &View) -> Result<Value, String> {
    if !view.is_integer() {
        let float = f64::try_from(view.clone()).ok().and_then(Number::from_f64);
        return float.map(Value::Number).ok_or_else(|| format!("{view} is not a number that JSON can hold"));
    }
    let signed = i64::try_from(view.clone()).ok().map(Number::from);
    let number = signed.or_else(|| u64::try_from(view.clone()).ok().map(Number::from));
    number.map(Value::Number).ok_or_else(|| format!("the number {view} is too large"))
}

fn list(view: &View, budget: &mut Budget, depth: usize) -> Result<Value, String> {
    budget.spend(0)?;
    let items = view.try_iter().map_err(|error| error.to_string())?;
    items.map(|item| to_json(&item, budget, depth + 1)).collect::<Result<_, _>>().map(Value::Array)
}

/// A list of at most so many items; a longer one is not made at all.
pub(super) fn to_items(view: &View, most: usize, budget: &mut Budget) -> Result<Vec<Value>, String> {
    if !matches!(view.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Err(no_list(view.kind()));
    }
    if let Some(count) = view.len().filter(|count| *count > most) {
        return Err(too_many(count, most));
    }
    let mut items = Vec::new();
    for item in view.try_iter().map_err(|error| error.to_string())? {
        if items.len() == most {
            return Err(too_many("more", most));
        }
        items.push(to_json(&item, budget, 1)?);
    }
    Ok(items)
}

/// The same of a JSON value.
pub(super) fn copy_items(value: &Value, most: usize, budget: &mut Budget) -> Result<Vec<Value>, String> {
    let Value::Array(items) = value else { return Err(no_list(words(value))) };
    if items.len() > most {
        return Err(too_many(items.len(), most));
    }
    items.iter().map(|item| copy(item, budget)).collect()
}

fn no_list(found: impl std::fmt::Display) -> String {
    format!("expects a list, got {found}")
}

fn too_many(found: impl std::fmt::Display, most: usize) -> String {
    format!("the list has {found} items, a loop takes at most {most}: filter it, or divide it among several runs")
}

fn words(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn object(view: &View, budget: &mut Budget, depth: usize) -> Result<Value, String> {
    budget.spend(0)?;
    let mut fields = Map::new();
    for key in view.try_iter().map_err(|error| error.to_string())? {
        let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        budget.spend(name.len())?;
        let item = view.get_item(&key).map_err(|error| error.to_string())?;
        fields.insert(name, to_json(&item, budget, depth + 1)?);
    }
    Ok(Value::Object(fields))
}

/// A value in the middle of a text: text as it is, null as nothing, lists and
/// objects as JSON.
pub(super) fn write_text(value: &Value, text: &mut String) {
    match value {
        Value::Null => {}
        Value::String(part) => text.push_str(part),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => text.push_str(&value.to_string()),
    }
}

/// Whether a condition holds: null, false, zero, and empty values do not.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(held) => *held,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
