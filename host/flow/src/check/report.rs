//! Problems as they are found: all of them, each with its place.

use model::Problem;

use super::tree::Node;

/// Nobody mends more at once.
const PROBLEMS_MAX: usize = 100;

pub(super) struct Report<'a> {
    file_name: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file_name: &'a str) -> Self {
        Self { file_name, problems: Vec::new() }
    }

    /// Adds a problem of a field: `steps.post.input.channel (flow.yaml:12)`.
    pub(super) fn add(&mut self, node: &Node, field: &str, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            let field = match node.at {
                Some((line, _)) if field.is_empty() => format!("{}:{line}", self.file_name),
                Some((line, _)) => format!("{field} ({}:{line})", self.file_name),
                None if field.is_empty() => self.file_name.to_owned(),
                None => field.to_owned(),
            };
            self.problems.push(problem.field(field));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.problems.len()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// `expected` and `found` in the usual words.
pub(super) fn wrong(name: &str, expected: &str, found: &Node) -> Problem {
    Problem::new("wrong-type", format!("{name} expects {expected}, got {}", found.words()))
}

/// The names there are, or that there are none.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    /// Longer lists are not read.
    const SHOWN_MAX: usize = 12;
    let mut names: Vec<&str> = names.into_iter().collect();
    let more = if names.len() > SHOWN_MAX { ", ..." } else { "" };
    names.truncate(SHOWN_MAX);
    if names.is_empty() { "none".to_owned() } else { format!("{}{more}", names.join(", ")) }
}

/// Adds the nearest name as the fix, or else all of them as the cause.
pub(super) fn suggest<'a>(problem: Problem, text: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> Problem {
    match model::nearest(text, names.clone()) {
        Some(near) => problem.fix(format!("write {near}")),
        None => problem.cause(format!("there is: {}", list(names))),
    }
}
