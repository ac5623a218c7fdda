//! Reading strict TOML: every problem of a document in one pass, each with its place.
//!
//! Owns the walk over tables, the words for unknown keys and wrong types, and the
//! translation of spans to `file:line:column`. Knows nothing of what documents mean.
//! Invariant: a value is handed out only if nothing was wrong with it; the caller
//! asks `finish` whether anything was wrong anywhere.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use model::{LimitsPart, Problem, nearest, unknown_method};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The one version of both documents.
pub(crate) const VERSION: u32 = 1;
/// Limits of which a zero would stop every call for no visible reason.
const NEVER_ZERO: [&str; 5] = ["memory_bytes", "cpu_ms", "wall_ms", "concurrency", "instances"];

/// A text with its name, and what is wrong with it so far.
pub(crate) struct Source<'t> {
    file: &'t str,
    text: &'t str,
    problems: RefCell<Vec<(usize, Problem)>>,
}

impl<'t> Source<'t> {
    /// Reads the syntax of a document.
    pub(crate) fn read(text: &'t str, file: &'t str) -> Result<(Self, Spanned<DeTable<'t>>), Vec<Problem>> {
        let source = Self { file, text, problems: RefCell::default() };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            source.report(at, Problem::new("syntax", format!("not TOML: {}", error.message())));
        }
        source
            .finish((source.file, table))
            .map(|(file, table)| (Self { file, text, problems: RefCell::default() }, table))
    }

    /// Notes a problem at a byte of the text.
    pub(crate) fn report(&self, at: usize, problem: Problem) {
        let place = self.place(at);
        self.problems.borrow_mut().push((at, problem.field(place)));
    }

    /// The value, or all problems in the order of the text.
    pub(crate) fn finish<T>(&self, value: T) -> Result<T, Vec<Problem>> {
        let mut problems = self.problems.take();
        if problems.is_empty() {
            return Ok(value);
        }
        problems.sort_by_key(|(at, _)| *at);
        Err(problems.into_iter().map(|(_, problem)| problem).collect())
    }

    fn place(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{}:{line}:{column}", self.file)
    }
}

/// One table of a document, with the keys it may have.
pub(crate) struct Section<'s, 't> {
    source: &'s Source<'t>,
    table: &'s DeTable<'t>,
    at: usize,
    name: String,
}

/// A value with its place, taken from a table with free keys.
pub(crate) struct Entry<'s, 't, K> {
    pub(crate) key: K,
    name: String,
    span: Range<usize>,
    value: &'s DeValue<'t>,
}

impl<'s, 't> Section<'s, 't> {
    /// The whole document; reports keys that are not known.
    pub(crate) fn root(source: &'s Source<'t>, table: &'s Spanned<DeTable<'t>>, known: &[&str]) -> Self {
        let section = Self { source, table: table.get_ref(), at: 0, name: String::new() };
        section.report_unknown(known);
        section.check_version();
        section
    }

    fn check_version(&self) {
        match self.table.get("version").map(|value| (value.span().start, value.get_ref())) {
            None => self.missing("version", "version = 1"),
            Some((_, DeValue::Integer(number))) if number.as_str() == "1" => {}
            Some((at, _)) => {
                let what = format!("this release reads version {VERSION} of the document");
                self.source.report(at, Problem::new("version", what).fix("version = 1"));
            }
        }
    }

    /// The table under a key, whatever its keys are.
    pub(crate) fn free_section(&self, key: &str) -> Option<Section<'s, 't>> {
        let value = self.table.get(key)?;
        self.table_of(key, value.span(), value.get_ref())
    }

    /// The table under a key, if it is there; reports keys that are not known.
    pub(crate) fn section(&self, key: &str, known: &[&str]) -> Option<Section<'s, 't>> {
        let section = self.free_section(key)?;
        section.report_unknown(known);
        Some(section)
    }

    fn table_of(&self, key: &str, span: Range<usize>, value: &'s DeValue<'t>) -> Option<Section<'s, 't>> {
        let DeValue::Table(table) = value else {
            self.wrong_type(key, "a table", value, span.start);
            return None;
        };
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        Some(Section { source: self.source, table, at: span.start, name })
    }

    /// The table of an entry; reports keys that are not known.
    pub(crate) fn section_of<K>(&self, entry: &Entry<'s, 't, K>, known: &[&str]) -> Option<Section<'s, 't>> {
        let section = self.table_of(&entry.name, entry.span.clone(), entry.value)?;
        section.report_unknown(known);
        Some(section)
    }

    /// The entries of a table with free keys, each key parsed.
    pub(crate) fn entries<K: FromStr<Err: Display>>(&self) -> Vec<Entry<'s, 't, K>> {
        let entries = self.table.iter().filter_map(|(key, value)| {
            let name = key.get_ref().to_string();
            let key = self.parsed(&name, key.span().start)?;
            Some(Entry { key, name, span: value.span(), value: value.get_ref() })
        });
        entries.collect()
    }

    /// A text that may be left out.
    pub(crate) fn optional<T: FromStr<Err: Display>>(&self, key: &str) -> Option<T> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => self.parsed(text, value.span().start),
            DeValue::Datetime(date) => self.parsed(&date.to_string(), value.span().start),
            other => {
                self.wrong_type(key, "a text", other, value.span().start);
                None
            }
        }
    }

    /// A text that must be there; `example` is the line to add.
    pub(crate) fn required<T: FromStr<Err: Display>>(&self, key: &str, example: &str) -> Option<T> {
        if !self.table.contains_key(key) {
            self.missing(key, example);
        }
        self.optional(key)
    }

    /// A list of texts; none when it is left out.
    pub(crate) fn list<T: FromStr<Err: Display>>(&self, key: &str) -> Vec<T> {
        self.placed_list(key).into_iter().map(|(_, item)| item).collect()
    }

    /// A list of texts, each with its place.
    pub(crate) fn placed_list<T: FromStr<Err: Display>>(&self, key: &str) -> Vec<(usize, T)> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, "a list of texts", value.get_ref(), value.span().start);
            return Vec::new();
        };
        let parse = |item: &Spanned<DeValue<'t>>| {
            let at = item.span().start;
            match item.get_ref() {
                DeValue::String(text) => self.parsed(text, at).map(|item| (at, item)),
                other => {
                    self.wrong_type(key, "a list of texts", other, at);
                    None
                }
            }
        };
        items.iter().filter_map(parse).collect()
    }

    /// Whether the key is there at all.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The limits under `limits`.
    pub(crate) fn limits(&self) -> LimitsPart {
        let names = limit_names();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let Some(section) = self.section("limits", &known) else { return LimitsPart::default() };
        let said = section.table.iter().filter(|(key, _)| known.contains(&key.get_ref().as_ref()));
        let said = said.filter_map(|(key, value)| {
            let name = key.get_ref().as_ref();
            section.limit(name, value).map(|limit| (name.to_owned(), limit.into()))
        });
        serde_json::from_value(serde_json::Value::Object(said.collect())).unwrap_or_default()
    }

    fn limit(&self, name: &str, value: &Spanned<DeValue<'t>>) -> Option<u64> {
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(name, "a whole number", value.get_ref(), value.span().start);
            return None;
        };
        let limit = u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok();
        match limit {
            Some(0) if NEVER_ZERO.contains(&name) => {
                let problem = Problem::new("bad-value", format!("{name} = 0 would stop every call"));
                self.source.report(value.span().start, problem.fix(format!("{name} = 1 or more")));
                None
            }
            Some(limit) => Some(limit),
            None => {
                let what = format!("{name} expects a whole number from 0 to {}, got {number}", u64::MAX);
                self.source.report(value.span().start, Problem::new("bad-value", what));
                None
            }
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&self, text: &str, at: usize) -> Option<T> {
        text.parse().map_err(|error: T::Err| self.source.report(at, Problem::new("bad-value", error.to_string()))).ok()
    }

    fn missing(&self, key: &str, example: &str) {
        let place = if self.name.is_empty() { String::new() } else { format!(" in [{}]", self.name) };
        let problem = Problem::new("missing-key", format!("the key {key:?} is missing{place}"));
        self.source.report(self.at, problem.fix(format!("add the line: {example}")));
    }

    fn wrong_type(&self, name: &str, expected: &str, got: &DeValue<'_>, at: usize) {
        let what = format!("{name} expects {expected}, got {}", type_words(got));
        self.source.report(at, Problem::new("wrong-type", what));
    }

    fn report_unknown(&self, known: &[&str]) {
        for (key, _) in self.table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            let fix = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("remove it; known here: {}", known.join(", ")),
            };
            self.source.report(key.span().start, Problem::new("unknown-key", format!("unknown key {name:?}")).fix(fix));
        }
    }
}

/// Reports the items that stand in a list more than once.
pub(crate) fn report_repeated<T: Ord + Display>(source: &Source<'_>, items: &[(usize, T)]) {
    let mut seen = BTreeSet::new();
    for (at, item) in items.iter().filter(|(_, item)| !seen.insert(item)) {
        source.report(*at, Problem::new("repeated", format!("{item} stands here twice")).fix("remove one of the two"));
    }
}

/// Reports the methods that HTTP does not have: a rule with one means no request.
pub(crate) fn report_unknown_methods<'m>(source: &Source<'_>, at: usize, methods: impl Iterator<Item = &'m str>) {
    for problem in methods.filter_map(unknown_method) {
        source.report(at, problem);
    }
}

fn limit_names() -> Vec<String> {
    match serde_json::to_value(model::Limits::default()) {
        Ok(serde_json::Value::Object(fields)) => fields.keys().cloned().collect(),
        Ok(_) | Err(_) => Vec::new(),
    }
}

fn type_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
