//! The filters and tests that an expression uses, found in its tokens: the engine would
//! find a slip only when it comes to it, in a run.

use model::nearest;

use super::engine::TESTS;
use super::filters;
use super::scan::{Kind, Token};

/// A look into a table of the flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The table's name, when it is a constant.
    pub(crate) table: Option<String>,
    /// The key, when it is a constant.
    pub(crate) key: Option<String>,
    /// Whether it says what is taken when the table has nothing.
    pub(crate) otherwise: bool,
}

/// The arguments of a filter, as far as tokens tell.
#[derive(Default)]
struct Arguments<'a> {
    /// In places, with the text of those that are constants.
    placed: Vec<Option<&'a str>>,
    named: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Arguments<'a> {
    fn constant(&self, at: usize, name: &str) -> Option<&'a str> {
        let by_name = || self.named.iter().find(|(known, _)| *known == name).and_then(|(_, text)| *text);
        self.placed.get(at).copied().flatten().or_else(by_name)
    }

    fn names(&self) -> Vec<&'a str> {
        self.named.iter().map(|(name, _)| *name).collect()
    }
}

/// Checks every filter and test; returns the looks into tables.
pub(super) fn check(tokens: &[Token<'_>]) -> Result<Vec<Lookup>, String> {
    let mut lookups = Vec::new();
    for at in 0..tokens.len() {
        match (mark(tokens, at), word(tokens, at)) {
            (Some("|"), _) => {
                let Some(name) = word(tokens, at + 1) else { continue };
                let arguments = arguments(tokens, at + 2);
                check_filter(name, arguments.placed.len(), &arguments.names())?;
                check_inner(name, &arguments)?;
                if name == filters::LOOKUP {
                    lookups.push(Lookup {
                        table: arguments.constant(0, "table").map(str::to_owned),
                        key: at.checked_sub(1).and_then(|before| text(tokens, before)).map(str::to_owned),
                        otherwise: arguments.placed.len() > 1 || arguments.names().contains(&"otherwise"),
                    });
                }
            }
            (_, Some("is")) if word(tokens, at + 1) == Some("not") => check_test(word(tokens, at + 2))?,
            (_, Some("is")) => check_test(word(tokens, at + 1))?,
            _ => {}
        }
    }
    Ok(lookups)
}

fn check_filter(name: &str, placed: usize, named: &[&str]) -> Result<(), String> {
    let Some(filter) = filters::find(name) else {
        return Err(unknown("filter", name, filters::all().map(|filter| filter.name)));
    };
    filter.refuse(placed, named).map_or(Ok(()), |wrong| Err(format!("filter {name} {wrong}")))
}

fn check_test(name: Option<&str>) -> Result<(), String> {
    match name.filter(|name| !TESTS.contains(name)) {
        Some(name) => Err(unknown("test", name, TESTS.iter().copied())),
        None => Ok(()),
    }
}

/// Filters and tests that are arguments of filters.
fn check_inner(name: &str, arguments: &Arguments<'_>) -> Result<(), String> {
    match name {
        "map" => match arguments.constant(0, "filter") {
            Some(inner) => check_filter(inner, arguments.placed.len() - 1, &[]),
            None => Ok(()),
        },
        "select" | "reject" => check_test(arguments.constant(0, "test")),
        "selectattr" | "rejectattr" => check_test(arguments.constant(1, "test")),
        _ => Ok(()),
    }
}

fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = nearest(name, known.clone())
        .map_or_else(|| format!("there is {}", known.collect::<Vec<_>>().join(", ")), |near| format!("write {near}"));
    format!("there is no {kind} {name:?}: {near}")
}

/// What stands between the parentheses that open at this token, if any do.
fn arguments<'a>(tokens: &[Token<'a>], open: usize) -> Arguments<'a> {
    let mut found = Arguments::default();
    if mark(tokens, open) != Some("(") {
        return found;
    }
    let (mut depth, mut start) = (1_usize, open + 1);
    for at in open + 1..tokens.len() {
        match mark(tokens, at) {
            Some("(" | "[" | "{") => depth += 1,
            Some(")" | "]" | "}") => depth -= 1,
            _ => {}
        }
        let ends = depth == 0;
        if (ends || depth == 1 && mark(tokens, at) == Some(",")) && at > start {
            found.take(tokens, start..at);
            start = at + 1;
        }
        if ends {
            break;
        }
    }
    found
}

impl<'a> Arguments<'a> {
    fn take(&mut self, tokens: &[Token<'a>], range: std::ops::Range<usize>) {
        let constant = |at: usize| text(tokens, at).filter(|_| at + 1 == range.end);
        match word(tokens, range.start).filter(|_| mark(tokens, range.start + 1) == Some("=")) {
            Some(name) => self.named.push((name, constant(range.start + 2))),
            None => self.placed.push(constant(range.start)),
        }
    }
}

pub(super) fn word<'a>(tokens: &[Token<'a>], at: usize) -> Option<&'a str> {
    match tokens.get(at)?.kind {
        Kind::Name(name) => Some(name),
        Kind::Text(_) | Kind::Number(_) | Kind::Mark(_) => None,
    }
}

pub(super) fn mark<'a>(tokens: &[Token<'a>], at: usize) -> Option<&'a str> {
    match tokens.get(at)?.kind {
        Kind::Mark(mark) => Some(mark),
        Kind::Name(_) | Kind::Text(_) | Kind::Number(_) => None,
    }
}

fn text<'a>(tokens: &[Token<'a>], at: usize) -> Option<&'a str> {
    match tokens.get(at)?.kind {
        Kind::Text(text) => text,
        Kind::Name(_) | Kind::Number(_) | Kind::Mark(_) => None,
    }
}
