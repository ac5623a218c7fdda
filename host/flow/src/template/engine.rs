//! The one expression engine: sandboxed, strict about what is absent, limited in
//! fuel, with a modest list of filters and no functions.
//!
//! Filters that could make much out of little are our own, with limits.

use std::sync::LazyLock;

use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, Expression, UndefinedBehavior, Value as View, filters, tests};
use serde_json::Value;

use super::convert::{Budget, to_items, to_json};

/// The function that looks up a reference which may be absent. Only we write it:
/// people's expressions cannot call functions.
pub(super) const LOOKUP: &str = "_lookup";
/// Operations in one expression. There are no loops, so that a hundred is much; the
/// work of filters grows with the values, which are limited in size.
const FUEL: u64 = 1_000;
/// What a text filter may make, in bytes; the same as a template's value.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// What `split` may make: each part costs a value.
const PARTS_MAX: usize = 100_000;

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(engine);

fn engine() -> Environment<'static> {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.add_function(LOOKUP, lookup);
    add_filters(&mut engine);
    add_tests(&mut engine);
    engine
}

macro_rules! registry {
    ($list:ident, $doc:literal, $add:ident, $method:ident: $($name:literal = $function:expr,)*) => {
        #[doc = $doc]
        pub const $list: &[&str] = &[$($name),*];

        fn $add(engine: &mut Environment<'static>) {
            $(engine.$method($name, $function);)*
        }
    };
}

registry! { FILTERS, "Every filter of expressions: `value | upper`.", add_filters, add_filter:
    "lower" = filters::lower,
    "upper" = filters::upper,
    "title" = filters::title,
    "capitalize" = filters::capitalize,
    "trim" = filters::trim,
    "lines" = filters::lines,
    "replace" = replace,
    "split" = split,
    "join" = join,
    "tojson" = to_json_text,
    "default" = filters::default,
    "d" = filters::default,
    "length" = filters::length,
    "count" = filters::length,
    "first" = filters::first,
    "last" = filters::last,
    "min" = filters::min,
    "max" = filters::max,
    "sum" = filters::sum,
    "sort" = filters::sort,
    "unique" = filters::unique,
    "reverse" = filters::reverse,
    "list" = filters::list,
    "items" = filters::items,
    "map" = filters::map,
    "select" = filters::select,
    "reject" = filters::reject,
    "selectattr" = filters::selectattr,
    "rejectattr" = filters::rejectattr,
    "groupby" = filters::groupby,
    "string" = filters::string,
    "bool" = filters::bool,
    "int" = filters::int,
    "float" = filters::float,
    "abs" = filters::abs,
    "round" = filters::round,
}

registry! { TESTS, "Every test of expressions: `value is defined`.", add_tests, add_test:
    "defined" = tests::is_defined,
    "undefined" = tests::is_undefined,
    "none" = tests::is_none,
    "boolean" = tests::is_boolean,
    "number" = tests::is_number,
    "integer" = tests::is_integer,
    "string" = tests::is_string,
    "sequence" = tests::is_sequence,
    "mapping" = tests::is_mapping,
    "startingwith" = tests::is_startingwith,
    "endingwith" = tests::is_endingwith,
    "odd" = tests::is_odd,
    "even" = tests::is_even,
    "divisibleby" = tests::is_divisibleby,
    "eq" = tests::is_eq,
    "ne" = tests::is_ne,
    "lt" = tests::is_lt,
    "le" = tests::is_le,
    "gt" = tests::is_gt,
    "ge" = tests::is_ge,
    "in" = tests::is_in,
}

pub(super) fn compile(source: &str) -> Result<Expression<'static, 'static>, String> {
    ENGINE.compile_expression_owned(source.to_owned()).map_err(|error| words(&error))
}

pub(super) fn eval(program: &Expression<'_, '_>, scope: View, budget: &mut Budget) -> Result<Value, String> {
    let view = program.eval(scope).map_err(|error| words(&error))?;
    to_json(&view, budget, 0)
}

/// A list of at most so many items.
pub(super) fn eval_items(
    program: &Expression<'_, '_>,
    scope: View,
    most: usize,
    budget: &mut Budget,
) -> Result<Vec<Value>, String> {
    let view = program.eval(scope).map_err(|error| words(&error))?;
    to_items(&view, most, budget)
}

/// The engine's error without template names and line numbers, which are not ours.
fn words(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("the expression takes more than {FUEL} operations"),
        (ErrorKind::UndefinedError, None) => "a value it reads is not there".to_owned(),
        (kind, None) => kind.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
    }
}

fn lookup(root: View, path: Rest<View>) -> View {
    path.iter().fold(root, |at, key| match at.is_undefined() {
        true => View::UNDEFINED,
        false => at.get_item(key).unwrap_or(View::UNDEFINED),
    })
}

fn refuse(what: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

fn within(bytes: usize) -> Result<(), Error> {
    if bytes > TEXT_BYTES_MAX {
        return Err(refuse(format!("the text would be larger than {} MiB", TEXT_BYTES_MAX >> 20)));
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the engine calls filters with owned arguments")]
fn replace(text: String, from: String, to: String) -> Result<String, Error> {
    let hits = text.matches(&from).count();
    within(text.len().saturating_add(hits.saturating_mul(to.len())))?;
    Ok(text.replace(&from, &to))
}

#[expect(clippy::needless_pass_by_value, reason = "the engine calls filters with owned arguments")]
fn split(text: String, at: Option<String>) -> Result<Vec<String>, Error> {
    let parts: Vec<String> = match at.as_deref() {
        None => text.split_whitespace().take(PARTS_MAX + 1).map(str::to_owned).collect(),
        Some("") => return Err(refuse("split needs something to split at".to_owned())),
        Some(at) => text.split(at).take(PARTS_MAX + 1).map(str::to_owned).collect(),
    };
    if parts.len() > PARTS_MAX {
        return Err(refuse(format!("split makes more than {PARTS_MAX} parts")));
    }
    Ok(parts)
}

#[expect(clippy::needless_pass_by_value, reason = "the engine calls filters with owned arguments")]
fn join(items: View, between: Option<String>) -> Result<String, Error> {
    let between = between.unwrap_or_default();
    let mut text = String::new();
    for (at, item) in items.try_iter()?.enumerate() {
        if item.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        if at > 0 {
            text.push_str(&between);
        }
        match item.as_str() {
            Some(part) => text.push_str(part),
            None => text.push_str(&item.to_string()),
        }
        within(text.len())?;
    }
    Ok(text)
}

#[expect(clippy::needless_pass_by_value, reason = "the engine calls filters with owned arguments")]
fn to_json_text(value: View) -> Result<String, Error> {
    to_json(&value, &mut Budget::default(), 0).map(|value| value.to_string()).map_err(refuse)
}
