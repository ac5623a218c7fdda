//! Action steps: the operation, the account, the input, and how often it is tried.

use model::{OperationRef, Problem, Schema};

use super::accounts::{self, Asked};
use super::read::Fields;
use super::report::wrong;
use super::shape::Shape;
use super::steps::{Read, Steps};
use super::tree::{Content, Node};
use super::values;
use crate::plan::{Action, Retry, Work};

/// More attempts than this are a flow that should not run.
const ATTEMPTS_MAX: u64 = 20;
const DAY_MS: u64 = 86_400_000;
/// A call that takes longer blocks a worker for nothing.
const TIMEOUT_MS_MAX: u64 = 3_600_000;

impl Steps<'_, '_> {
    pub(super) fn action(&mut self, fields: &Fields<'_>) -> Read {
        self.only(fields, &["uses", "connection", "input", "retry", "timeout", "on_error"]);
        let retry = self.retry(fields);
        let timeout_ms = fields.duration("timeout", TIMEOUT_MS_MAX, self.report);
        let on_error = self.on_error(fields);
        let empty = Node { at: fields.node.at, content: Content::Object(Vec::new()) };
        let input_node = fields.get("input").unwrap_or(&empty);
        let input_field = fields.field("input");
        let made = values::read(input_node, &input_field, &self.names, self.report);
        let unknown = || Read::leaf(None, Some(Shape::open()));
        let Some(uses_node) = fields.get("uses") else { return unknown() };
        let Some(uses) = fields.name::<OperationRef>("uses", self.report) else { return unknown() };
        let uses_field = fields.field("uses");
        let Some(manifest) = accounts::manifest(&uses, uses_node, &uses_field, self.operations, self.report) else {
            return unknown();
        };
        let Some(declared) = manifest.action(&uses.operation) else {
            let known = manifest.actions.iter().map(|action| action.id.as_str());
            accounts::unknown_operation(&uses, "action", known, uses_node, &uses_field, self.report);
            return unknown();
        };
        let asked = Asked { uses: &uses, need: declared.connection, scopes: &declared.scopes };
        let connection = accounts::connection(fields, &asked, self.operations, self.report);
        // A schema that does not compile is the connector's fault, found at install.
        if let Ok(schema) = Schema::compile(&declared.input) {
            values::fits(&made, &schema, input_node, &input_field, self.report);
        }
        let (effect, idempotency) = (declared.effect, declared.idempotency.clone());
        let input = made.template;
        let action = Action { uses, connection, input, retry, timeout_ms, on_error, effect, idempotency };
        Read::leaf(Some(Work::Action(Box::new(action))), Some(Shape(declared.output.clone())))
    }

    pub(super) fn retry(&mut self, fields: &Fields<'_>) -> Retry {
        let mut retry = Retry::default();
        let field = fields.field("retry");
        let inner = fields.get("retry").and_then(|node| Fields::of(node, &field, self.report));
        let Some(inner) = inner else { return retry };
        inner.only(&["attempts", "first", "most"], self.report);
        if let Some(node) = inner.get("attempts") {
            let attempts = node.to_json().as_u64().filter(|attempts| (1..=ATTEMPTS_MAX).contains(attempts));
            match attempts.and_then(|attempts| u32::try_from(attempts).ok()) {
                Some(attempts) => retry.attempts = attempts,
                None => {
                    self.report.add(node, &inner.field("attempts"), wrong("attempts", "a number from 1 to 20", node))
                }
            }
        }
        let first = inner.duration("first", DAY_MS, self.report);
        let most = inner.duration("most", DAY_MS, self.report);
        retry.first_ms = first.unwrap_or(retry.first_ms);
        retry.most_ms = most.unwrap_or(retry.most_ms.max(retry.first_ms));
        if retry.first_ms > retry.most_ms {
            let problem = Problem::new("bad-retry", "the first wait is longer than the longest");
            self.report.add(
                inner.node,
                &inner.path,
                problem.fix("make first at most as long as most (5m when absent)"),
            );
        }
        retry
    }
}
