//! The one expression engine: sandboxed, strict about what is absent, limited in
//! fuel, with the filters of our own table and no functions.
//!
//! Every filter goes through one place, which names it in its errors and counts what
//! it makes.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::{Kwargs, Object, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, Expression, State, UndefinedBehavior, Value as View, tests};
use serde_json::Value;

use super::convert::{Budget, NOT_THERE, to_items, to_json};
use super::filters::{self, Call, Filter, Work};

/// The function that looks up a reference which may be absent. Only we write it:
/// people's expressions cannot call functions.
pub(super) const LOOKUP: &str = "_lookup";
/// Names of the scope that only the engine reads.
pub(super) const TABLES: &str = "_tables";
pub(super) const MADE: &str = "_made";
/// Operations in one expression. There are no loops, so that a hundred is much; the
/// work of filters grows with the values, which are limited in size.
const FUEL: u64 = 1_000;
/// What all filters of one evaluation may make on the way, in bytes of text, and a
/// few for each item: sixteen times what it may make in the end.
const MADE_BYTES_MAX: usize = 64 << 20;
/// What an item of a list, or a field, counts.
const ITEM_BYTES: usize = 16;

/// What is said of a value that is not there.
const ABSENT: &str = "a value it reads is not there";

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(engine);

fn engine() -> Environment<'static> {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.add_function(LOOKUP, lookup);
    filters::all().for_each(|filter| add_filter(&mut engine, filter));
    add_tests(&mut engine);
    engine
}

/// What the filters of one evaluation have made so far.
#[derive(Debug, Default)]
pub(super) struct Made(AtomicUsize);

impl Object for Made {}

macro_rules! registry {
    ($list:ident, $doc:literal, $add:ident, $method:ident: $($name:literal = $function:expr,)*) => {
        #[doc = $doc]
        pub(super) const $list: &[&str] = &[$($name),*];

        fn $add(engine: &mut Environment<'static>) {
            $(engine.$method($name, $function);)*
        }
    };
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
        (ErrorKind::UndefinedError, None) => ABSENT.to_owned(),
        (ErrorKind::InvalidOperation, Some(detail)) if detail.starts_with("filter ") => detail.to_owned(),
        (kind, None) => kind.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
    }
}

/// Whether an error may come from a value that is not there.
pub(super) fn is_of_absence(message: &str) -> bool {
    message == ABSENT || message == NOT_THERE || message.contains("undefined")
}

fn lookup(root: View, path: Rest<View>) -> View {
    path.iter().fold(root, |at, key| match at.is_undefined() {
        true => View::UNDEFINED,
        false => at.get_item(key).unwrap_or(View::UNDEFINED),
    })
}

fn add_filter(engine: &mut Environment<'static>, filter: &'static Filter) {
    let inner = format!("_{}", filter.name);
    if let Work::Engine(add) = filter.work {
        add(engine, inner.clone());
    }
    engine.add_filter(filter.name, move |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
        let arguments = arguments.into_values();
        let made = match filter.work {
            Work::Engine(_) => state.apply_filter(&inner, &arguments),
            Work::Own(work) => own(filter, &arguments, work),
            Work::Lookup => own(filter, &arguments, |call| filters::look_up(call, state.lookup(TABLES).as_ref())),
        };
        made.and_then(|made| count(state, made)).map_err(|error| named(filter, error))
    });
}

/// An error with the filter's name; absence stays absence.
fn named(filter: &Filter, error: Error) -> Error {
    match error.kind() {
        ErrorKind::UndefinedError | ErrorKind::OutOfFuel => error,
        _ => {
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            refuse(format!("filter {}: {detail}", filter.name))
        }
    }
}

fn refuse(what: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

/// A filter of ours: its arguments by their places, those given by name included.
fn own(
    filter: &'static Filter,
    arguments: &[View],
    work: impl FnOnce(&Call<'_>) -> Result<View, String>,
) -> Result<View, Error> {
    let Some((value, given)) = arguments.split_first() else { return Err(refuse("has no value".to_owned())) };
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let (placed, by_name) = match given.split_last() {
        Some((last, placed)) if last.is_kwargs() => (placed, Some(Kwargs::try_from(last.clone())?)),
        Some(_) | None => (given, None),
    };
    let names: Vec<&str> = by_name.iter().flat_map(Kwargs::args).collect();
    if let Some(wrong) = filter.refuse(placed.len(), &names) {
        return Err(refuse(wrong));
    }
    let mut all = placed.to_vec();
    if let Some(by_name) = &by_name {
        for (at, name) in filter.required.iter().chain(filter.optional).enumerate() {
            if by_name.has(name) {
                all.resize(all.len().max(at + 1), View::UNDEFINED);
                all[at] = by_name.get(name)?;
            }
        }
    }
    work(&Call::new(value, &all)).map_err(refuse)
}

/// Counts what a filter made: together, the filters of an evaluation make so much.
fn count(state: &State<'_, '_>, made: View) -> Result<View, Error> {
    let bytes = match made.kind() {
        ValueKind::String => made.as_str().map_or(0, str::len),
        _ => made.len().unwrap_or(1).saturating_mul(ITEM_BYTES),
    };
    if let Some(all) = state.lookup(MADE).as_ref().and_then(View::downcast_object_ref::<Made>)
        && all.0.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MADE_BYTES_MAX
    {
        return Err(refuse(format!("the expression makes more than {} MiB on its way", MADE_BYTES_MAX >> 20)));
    }
    Ok(made)
}
