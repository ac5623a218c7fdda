//! One expression: what it refers to, and its value.
//!
//! Owns the reading of references (`trigger.issue.title`), of guards (`x is
//! defined`, `x | default(...)`), and the shortcut for expressions that are one
//! plain reference: they never see the engine.

use minijinja::Expression as Program;

use super::convert::{self, Budget};
use super::engine;
use super::path::{Path, Segment};
use super::scan::{self, Kind, Token};
use super::scope::Scope;
use super::uses::{self, Lookup, mark, word};

/// Longer expressions belong in a step of their own.
pub(crate) const EXPRESSION_BYTES_MAX: usize = 4_096;
/// The engine's own words, which are no names.
const WORDS: [&str; 13] =
    ["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"];

/// A compiled expression.
pub(crate) struct Expression {
    /// Every reference in it, in the order of the text.
    pub(crate) references: Vec<Reference>,
    /// Every look into a table of the flow.
    pub(crate) lookups: Vec<Lookup>,
    work: Work,
}

enum Work {
    /// Is one plain reference.
    Reference(Path),
    /// Computes.
    Program(Box<Program<'static, 'static>>),
}

/// A place where an expression reads a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) path: Path,
    /// It may be absent: `| default(...)`, `is defined` or the like follows.
    pub(crate) optional: bool,
    /// `is defined` follows: what else reads it here is only evaluated if it is there.
    pub(crate) guard: bool,
    start: usize,
    end: usize,
}

impl Expression {
    /// Compiles an expression without its braces.
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        if source.is_empty() {
            return Err("the expression is empty".to_owned());
        }
        if source.len() > EXPRESSION_BYTES_MAX {
            return Err(format!("the expression is longer than {EXPRESSION_BYTES_MAX} characters"));
        }
        let tokens = scan::tokens(source)?;
        let lookups = uses::check(&tokens)?;
        check_calls(&tokens)?;
        let references = references(&tokens)?;
        let work = match references.as_slice() {
            [only] if !only.optional && only.start == 0 && only.end == source.len() => {
                Work::Reference(only.path.clone())
            }
            _ => Work::Program(Box::new(engine::compile(&rewrite(source, &references))?)),
        };
        Ok(Self { references, lookups, work })
    }

    /// The path, when the expression is one plain reference.
    pub(crate) fn as_reference(&self) -> Option<&Path> {
        match &self.work {
            Work::Reference(path) => Some(path),
            Work::Program(_) => None,
        }
    }

    pub(super) fn eval(&self, scope: &Scope<'_>, budget: &mut Budget) -> Result<serde_json::Value, String> {
        match &self.work {
            Work::Reference(path) => convert::copy(scope.find(path)?.as_ref(), budget),
            Work::Program(program) => {
                engine::eval(program, scope.view(), budget).map_err(|message| self.name_absent(message, scope))
            }
        }
    }

    /// The list it makes, if it has at most so many items.
    pub(super) fn eval_items(
        &self,
        scope: &Scope<'_>,
        most: usize,
        budget: &mut Budget,
    ) -> Result<Vec<serde_json::Value>, String> {
        match &self.work {
            Work::Reference(path) => convert::copy_items(scope.find(path)?.as_ref(), most, budget),
            Work::Program(program) => engine::eval_items(program, scope.view(), most, budget)
                .map_err(|message| self.name_absent(message, scope)),
        }
    }

    /// Says which value is not there, when the engine only says that one is not.
    fn name_absent(&self, message: String, scope: &Scope<'_>) -> String {
        if !engine::is_of_absence(&message) {
            return message;
        }
        let mut needed = self.references.iter().filter(|reference| !reference.optional);
        match needed.find_map(|reference| scope.find(&reference.path).err()) {
            Some(absent) => format!("{message}: {absent}"),
            None => message,
        }
    }
}

/// References that may be absent are looked up as a whole, so that a missing step
/// on the way is absence too and not an error.
fn rewrite(source: &str, references: &[Reference]) -> String {
    let mut text = String::with_capacity(source.len());
    let mut from = 0;
    for reference in references.iter().filter(|reference| reference.optional && reference.path.0.len() > 2) {
        text.push_str(&source[from..reference.start]);
        text.push_str(engine::LOOKUP);
        text.push('(');
        text.push_str(reference.path.root());
        for segment in reference.path.below() {
            match segment {
                Segment::Field(name) => text.push_str(&format!(", '{}'", name.replace('\'', "\\'"))),
                Segment::Index(at) => text.push_str(&format!(", {at}")),
            }
        }
        text.push(')');
        from = reference.end;
    }
    text.push_str(&source[from..]);
    text
}

/// There is nothing to call but filters and tests.
fn check_calls(tokens: &[Token<'_>]) -> Result<(), String> {
    for at in 0..tokens.len() {
        let Some(name) = word(tokens, at + 1).filter(|_| mark(tokens, at) == Some(".")) else { continue };
        if mark(tokens, at + 2) == Some("(") {
            return Err(format!("there is no method {name:?}; filters are written value | {name}"));
        }
    }
    Ok(())
}

fn references(tokens: &[Token<'_>]) -> Result<Vec<Reference>, String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some(name) = variable(tokens, at) else {
            at += 1;
            continue;
        };
        if mark(tokens, at + 1) == Some("(") {
            return Err(format!("there is no function {name:?}; filters are written value | {name}"));
        }
        let (path, next) = chain(tokens, at, name);
        let guard = follows(tokens, next, &["is", "defined"]);
        let filter = mark(tokens, next) == Some("|") && matches!(word(tokens, next + 1), Some("default" | "d"));
        let test = follows(tokens, next, &["is", "undefined"]) || follows(tokens, next, &["is", "not", "defined"]);
        let (start, end) = (tokens[at].start, tokens[next - 1].end);
        found.push(Reference { path, optional: guard || filter || test, guard, start, end });
        at = next;
    }
    Ok(found)
}

/// The name at this token, when it reads a value.
fn variable<'a>(tokens: &[Token<'a>], at: usize) -> Option<&'a str> {
    let name = word(tokens, at).filter(|name| !WORDS.contains(name))?;
    let before = at.checked_sub(1);
    let mark_before = before.and_then(|before| mark(tokens, before));
    let word_before = before.and_then(|before| word(tokens, before));
    let is_before_not = word_before == Some("not") && at >= 2 && word(tokens, at - 2) == Some("is");
    let no_value = matches!(mark_before, Some("." | "|"))
        || word_before == Some("is")
        || is_before_not
        || mark(tokens, at + 1) == Some("=");
    (!no_value).then_some(name)
}

/// The reference that begins at this token, and the token after it.
fn chain(tokens: &[Token<'_>], at: usize, name: &str) -> (Path, usize) {
    let mut segments = vec![Segment::Field(name.to_owned())];
    let mut next = at + 1;
    while let Some((segment, after)) = link(tokens, next) {
        segments.push(segment);
        next = after;
    }
    (Path(segments), next)
}

fn link(tokens: &[Token<'_>], at: usize) -> Option<(Segment, usize)> {
    match mark(tokens, at)? {
        "." => {
            let name = word(tokens, at + 1)?;
            (mark(tokens, at + 2) != Some("(")).then(|| (Segment::Field(name.to_owned()), at + 2))
        }
        "[" if mark(tokens, at + 2) == Some("]") => {
            let segment = match tokens[at + 1].kind {
                Kind::Text(text) => Segment::Field(text?.to_owned()),
                Kind::Number(digits) => Segment::Index(digits.parse().ok()?),
                Kind::Name(_) | Kind::Mark(_) => return None,
            };
            Some((segment, at + 3))
        }
        _ => None,
    }
}

fn follows(tokens: &[Token<'_>], at: usize, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(offset, wanted)| word(tokens, at + offset) == Some(wanted))
}
