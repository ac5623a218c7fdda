//! The words of denials: requests without their queries, and lines ready to paste.

use std::fmt::Write as _;

use model::{Destination, Digest, Environment, Target};

use crate::ceiling::Ceiling;
use crate::grant::{Grant, OperationKey};
use crate::print::{key, quoted};

/// `POST https://slack.com/api/chat.postMessage`, never with a query.
pub(crate) fn request(target: &Target) -> String {
    let path: String = target.path.chars().take(200).collect();
    let host: String = origin(target).chars().take(300).collect();
    format!("{} {host}{path}", target.method)
}

/// `https://slack.com`, the port only where it is not the scheme's own.
pub(crate) fn origin(target: &Target) -> String {
    let port = match target.port == target.scheme.default_port() {
        true => String::new(),
        false => format!(":{}", target.port),
    };
    format!("{}://{}{port}", target.scheme.as_str(), target.host)
}

/// The destination that a grant would have to name: the manifest's own words, or the
/// origin of the target where the manifest leaves it open.
pub(crate) fn suggestion(asked: &Option<Destination>, target: &Target) -> String {
    match asked {
        Some(destination) => destination.to_string(),
        None => format!("{} {}/**", target.method, origin(target)),
    }
}

/// What an administrator would do, line by line.
#[derive(Default)]
pub(crate) struct Fix(String);

impl Fix {
    /// The line that is missing under `allowed`.
    pub(crate) fn ceiling_allowed(&mut self, ceiling: &Ceiling, target: &Target) {
        let rule = quoted(&format!("* {}", origin(target)));
        self.line(&format!("{}\n    {rule},", ceiling.add_to("allowed")));
    }

    /// The lines that are missing for an operation.
    pub(crate) fn grant_destination(&mut self, grant: &Grant, operation: &str, destination: &str) {
        let (table, rule) = (key(operation), quoted(destination));
        let named = grant.said_of(operation).find(|(name, _)| **name != OperationKey::Every);
        let plugin = &grant.plugin;
        self.line(&match named {
            Some((_, said)) if !said.destinations.is_empty() => {
                format!("in the grant of {plugin}, under [operations.{table}], add to destinations:\n    {rule},")
            }
            Some(_) => {
                format!("in the grant of {plugin}, under [operations.{table}], add:\ndestinations = [{rule}]")
            }
            None => format!("in the grant of {plugin}, add:\n[operations.{table}]\ndestinations = [{rule}]"),
        });
    }

    /// The command that puts a changed grant in force.
    pub(crate) fn approve(&mut self, digest: &Digest, environment: &Environment) {
        self.line(&format!("then: {}", approve_command(digest, environment)));
    }

    /// Another fix beside this one.
    pub(crate) fn also(&mut self, fix: &str) {
        self.line(fix);
    }

    fn line(&mut self, text: &str) {
        let separator = if self.0.is_empty() { "" } else { "\n" };
        let _ = write!(self.0, "{separator}{text}");
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// The command that approves a component.
pub(crate) fn approve_command(digest: &Digest, environment: &Environment) -> String {
    format!("sluice plugin approve {digest} --grant FILE --environment {environment}")
}
