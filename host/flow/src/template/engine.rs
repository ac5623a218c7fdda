//! The one expression engine: sandboxed, strict about what is absent, limited in
//! fuel, with a modest list of filters and no functions.
//!
//! Filters that could make much out of little are our own, with limits.

use std::sync::LazyLock;

use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, Expression, UndefinedBehavior, Value as View, filters, tests};
use serde_json::Value;

use super::convert::{Budget, to_json};

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
    add_text_filters(&mut engine);
    add_value_filters(&mut engine);
    add_tests(&mut engine);
    engine
}

fn add_text_filters(engine: &mut Environment<'static>) {
    engine.add_filter("lower", filters::lower);
    engine.add_filter("upper", filters::upper);
    engine.add_filter("title", filters::title);
    engine.add_filter("capitalize", filters::capitalize);
    engine.add_filter("trim", filters::trim);
    engine.add_filter("lines", filters::lines);
    engine.add_filter("replace", replace);
    engine.add_filter("split", split);
    engine.add_filter("join", join);
    engine.add_filter("tojson", to_json_text);
}

fn add_value_filters(engine: &mut Environment<'static>) {
    engine.add_filter("default", filters::default);
    engine.add_filter("d", filters::default);
    engine.add_filter("length", filters::length);
    engine.add_filter("count", filters::length);
    engine.add_filter("first", filters::first);
    engine.add_filter("last", filters::last);
    engine.add_filter("min", filters::min);
    engine.add_filter("max", filters::max);
    engine.add_filter("sum", filters::sum);
    engine.add_filter("sort", filters::sort);
    engine.add_filter("unique", filters::unique);
    engine.add_filter("reverse", filters::reverse);
    engine.add_filter("list", filters::list);
    engine.add_filter("items", filters::items);
    engine.add_filter("map", filters::map);
    engine.add_filter("select", filters::select);
    engine.add_filter("reject", filters::reject);
    engine.add_filter("selectattr", filters::selectattr);
    engine.add_filter("rejectattr", filters::rejectattr);
    engine.add_filter("groupby", filters::groupby);
    engine.add_filter("string", filters::string);
    engine.add_filter("bool", filters::bool);
    engine.add_filter("int", filters::int);
    engine.add_filter("float", filters::float);
    engine.add_filter("abs", filters::abs);
    engine.add_filter("round", filters::round);
}

fn add_tests(engine: &mut Environment<'static>) {
    engine.add_test("defined", tests::is_defined);
    engine.add_test("undefined", tests::is_undefined);
    engine.add_test("none", tests::is_none);
    engine.add_test("boolean", tests::is_boolean);
    engine.add_test("number", tests::is_number);
    engine.add_test("integer", tests::is_integer);
    engine.add_test("string", tests::is_string);
    engine.add_test("sequence", tests::is_sequence);
    engine.add_test("mapping", tests::is_mapping);
    engine.add_test("startingwith", tests::is_startingwith);
    engine.add_test("endingwith", tests::is_endingwith);
    engine.add_test("odd", tests::is_odd);
    engine.add_test("even", tests::is_even);
    engine.add_test("divisibleby", tests::is_divisibleby);
    engine.add_test("eq", tests::is_eq);
    engine.add_test("ne", tests::is_ne);
    engine.add_test("lt", tests::is_lt);
    engine.add_test("le", tests::is_le);
    engine.add_test("gt", tests::is_gt);
    engine.add_test("ge", tests::is_ge);
    engine.add_test("in", tests::is_in);
}

pub(super) fn compile(source: &str) -> Result<Expression<'static, 'static>, String> {
    ENGINE.compile_expression_owned(source.to_owned()).map_err(|error| words(&error))
}

pub(super) fn eval(program: &Expression<'_, '_>, scope: View, budget: &mut Budget) -> Result<Value, String> {
    let view = program.eval(scope).map_err(|error| words(&error))?;
    to_json(&view, budget, 0)
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
