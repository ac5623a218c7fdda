//! Every filter of expressions, in one table: its name, what it takes, what it does,
//! an example of it. The check at save, the engine and the reference page all read it.
//!
//! Invariants: a filter is a function of its arguments (no clock, no chance), what it
//! makes is bounded, and its errors say its name, what was expected and what was found.

mod call;
mod dates;
mod encodings;
mod lists;
mod moment;
mod numbers;
mod text;
mod values;

use minijinja::Environment;

pub(super) use call::{Call, Made};
pub(super) use dates::PATTERNS;
pub(super) use values::look_up;

/// A filter: `value | name(arguments)`.
pub(super) struct Filter {
    pub(super) name: &'static str,
    /// Arguments that must be given.
    pub(super) required: &'static [&'static str],
    /// Arguments that may be given, in this place or by name.
    pub(super) optional: &'static [&'static str],
    /// Arguments that are given by name only.
    pub(super) named: &'static [&'static str],
    /// What it makes, in a sentence.
    pub(super) about: &'static str,
    /// Expressions, and the JSON that they make.
    pub(super) examples: &'static [(&'static str, &'static str)],
    pub(super) work: Work,
}

/// How a filter is computed.
pub(super) enum Work {
    /// The engine's own way, put into the environment under this name.
    Engine(fn(&mut Environment<'static>, String)),
    /// Ours.
    Own(fn(&Call<'_>) -> Made),
    /// A look into the flow's tables.
    Lookup,
}

/// The filters of one subject, as the reference page shows them.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) filters: &'static [Filter],
}

/// Every filter there is.
pub(super) const GROUPS: [&Group; 6] =
    [&values::GROUP, &text::GROUP, &numbers::GROUP, &dates::GROUP, &lists::GROUP, &encodings::GROUP];

/// The filter that looks into the flow's tables.
pub(super) const LOOKUP: &str = "lookup";

pub(super) fn all() -> impl Iterator<Item = &'static Filter> + Clone {
    GROUPS.into_iter().flat_map(|group| group.filters)
}

pub(super) fn find(name: &str) -> Option<&'static Filter> {
    all().find(|filter| filter.name == name)
}

impl Filter {
    /// As people write it: `round(digits?)`.
    pub(super) fn usage(&self) -> String {
        let required = self.required.iter().map(|name| (*name).to_owned());
        let optional = self.optional.iter().map(|name| format!("{name}?"));
        let named = self.named.iter().map(|name| format!("{name}=?"));
        let arguments: Vec<String> = required.chain(optional).chain(named).collect();
        if arguments.is_empty() { self.name.to_owned() } else { format!("{}({})", self.name, arguments.join(", ")) }
    }

    /// What is wrong with arguments: so many by place, and these by name.
    pub(super) fn refuse(&self, placed: usize, named: &[&str]) -> Option<String> {
        let places: Vec<&str> = self.required.iter().chain(self.optional).copied().collect();
        if placed > places.len() {
            let most = places.len();
            return Some(format!("takes at most {most} arguments in places, got {placed}: {}", self.usage()));
        }
        // The engine's own take by name only what is said to be so.
        let by_name = if matches!(self.work, Work::Engine(_)) { &[][..] } else { &places };
        let known = || by_name.iter().chain(self.named).copied();
        if let Some(name) = named.iter().find(|name| !known().any(|other| other == **name)) {
            let near = model::nearest(name, known()).map_or_else(String::new, |near| format!("; write {near}"));
            return Some(format!("has no argument {name:?}: {}{near}", self.usage()));
        }
        if let Some(twice) = named.iter().find(|name| places.iter().take(placed).any(|place| place == *name)) {
            return Some(format!("gets the argument {twice} twice"));
        }
        let missing = self.required.iter().skip(placed).find(|name| !named.contains(*name));
        missing.map(|missing| format!("needs the argument {missing}: {}", self.usage()))
    }
}

/// A filter of ours without arguments by name; the table is easier to read this way.
const fn own(
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    about: &'static str,
    examples: &'static [(&'static str, &'static str)],
    work: fn(&Call<'_>) -> Made,
) -> Filter {
    Filter { name, required, optional, named: &[], about, examples, work: Work::Own(work) }
}

/// A filter of the engine's that takes no arguments.
const fn engines(
    name: &'static str,
    about: &'static str,
    examples: &'static [(&'static str, &'static str)],
    add: fn(&mut Environment<'static>, String),
) -> Filter {
    Filter { name, required: &[], optional: &[], named: &[], about, examples, work: Work::Engine(add) }
}
