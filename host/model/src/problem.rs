//! What people read when something is wrong: what happened, why, and how to mend it.
//!
//! Every crate turns its errors into problems at its edge; the command line, the
//! API and the run record print the same words.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing wrong, in words for the person who can mend it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A stable name in kebab-case, for programs: `unknown-field`, `digest-not-approved`.
    pub code: String,
    /// What happened.
    pub what: String,
    /// The likely cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How to mend it; where it can be, lines to paste or a command to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Where: a field path (`steps.post.input.channel`), or `file:line:column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// A problem with its code and what happened.
    pub fn new(code: &str, what: impl Into<String>) -> Self {
        Self { code: code.to_owned(), what: what.into(), cause: None, fix: None, field: None }
    }

    /// Adds the likely cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Adds where it is.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.what)?;
        if let Some(cause) = &self.cause {
            write!(f, "\n  cause: {}", indent(cause))?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "\n  fix: {}", indent(fix))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

fn indent(text: &str) -> String {
    text.replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_what_cause_and_fix() {
        let problem = Problem::new("wrong-type", "due_date expects an ISO 8601 date, got \"31/12\"")
            .field("steps.task.input.due_date")
            .fix("write 2026-12-31");
        assert_eq!(
            problem.to_string(),
            "steps.task.input.due_date: due_date expects an ISO 8601 date, got \"31/12\"\n  fix: write 2026-12-31"
        );
    }
}
