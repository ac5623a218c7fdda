//! The answer no: which rule decided, or which is missing, and what would change it.
//!
//! A denial is an outcome, not a failure. It never holds a query, a header or a
//! secret, so that it may be shown to whoever asked.

use std::fmt;

use model::{Failure, Problem};
use serde::Serialize;

/// The answer no, with its reason and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// A stable name in kebab-case, for programs: `grant-missing-rule`.
    pub code: &'static str,
    /// What was refused, in a sentence without full stop.
    pub what: String,
    /// The rule that decided, or the one that is missing.
    pub rule: String,
    /// What an administrator would do: lines to paste and where, or a command.
    pub fix: String,
}

impl Denial {
    pub(crate) fn new(
        code: &'static str,
        what: impl Into<String>,
        rule: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { code, what: what.into(), rule: rule.into(), fix: fix.into() }
    }

    /// For people: what happened, the rule as its cause, the fix.
    pub fn to_problem(&self) -> Problem {
        Problem::new(self.code, self.what.clone()).cause(self.rule.clone()).fix(self.fix.clone())
    }

    /// For the engine: a failure that is never tried again.
    pub fn to_failure(&self) -> Failure {
        Failure::PolicyDenied { rule: self.rule.clone(), fix: self.fix.clone() }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.rule)?;
        if !self.fix.is_empty() {
            write!(f, "\n  fix: {}", self.fix.replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Denial {}
