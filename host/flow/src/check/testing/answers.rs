//! What the outside answers in a test: of the right kind for the step, and such as
//! the operation's schema lets through.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Failure, Problem, Schema};
use serde_json::{Value, json};

use super::super::read::Fields;
use super::super::report::{suggest, wrong};
use super::super::tree::{Content, Node};
use super::super::values;
use super::{Reading, members, object};
use crate::plan::{Step, Until, Work};
use crate::run::Spot;
use crate::testing::Reply;

/// As many as a step may have attempts.
const ANSWERS_MAX: usize = 20;
/// Who decides when a test does not say.
const SOMEBODY: &str = "somebody";

/// The failures that a test can give, and what each has beside its kind.
const FAILURES: [(&str, &[&str]); 14] = [
    ("auth-expired", &[]),
    ("auth-revoked", &[]),
    ("missing-scopes", &["scopes"]),
    ("rate-limited", &["retry_after_ms"]),
    ("transient", &["message"]),
    ("invalid-input", &["fields"]),
    ("not-found", &["message"]),
    ("conflict", &["message"]),
    ("remote", &["status", "message"]),
    ("permanent", &["message"]),
    ("other", &["code", "details"]),
    ("crashed", &["message"]),
    ("timed-out", &["message"]),
    ("may-have-happened", &["message"]),
];

impl Reading<'_, '_> {
    pub(super) fn answers(&mut self, fields: &Fields<'_>) -> BTreeMap<Spot, Vec<Reply>> {
        let mut found = BTreeMap::new();
        let Some(node) = fields.get("answers") else { return found };
        let path = fields.field("answers");
        if Fields::of(node, &path, self.report).is_none() {
            return found;
        }
        for (key, node) in members(node) {
            let field = format!("{path}.{key}");
            let Some((spot, index)) = self.spot(key, node, &field) else { continue };
            let step = &self.plan.steps()[index];
            let attempts = match &node.content {
                Content::List(items) if items.is_empty() || items.len() > ANSWERS_MAX => {
                    let expected = format!("one answer, or a list of 1 to {ANSWERS_MAX}, attempt by attempt");
                    self.report.add(node, &field, wrong("an answer", &expected, node));
                    continue;
                }
                Content::List(items) => {
                    items.iter().enumerate().map(|(at, item)| (item, format!("{field}[{at}]"))).collect()
                }
                _ => vec![(node, field)],
            };
            let replies: Option<Vec<Reply>> =
                attempts.iter().map(|(node, field)| self.reply(step, node, field)).collect();
            found.extend(replies.map(|replies| (spot, replies)));
        }
        found
    }

    fn reply(&mut self, step: &Step, node: &Node, field: &str) -> Option<Reply> {
        let fields = Fields::of(node, field, self.report)?;
        let kinds: &[&str] = match &step.work {
            Work::Action(_) => &["output", "sample_with", "failure"],
            Work::Call(_) => &["output", "failure", "timeout"],
            Work::Approve(_) => &["decision", "timeout"],
            Work::Wait { until: Until::Event { .. }, .. } => &["event", "timeout"],
            Work::Wait { .. }
            | Work::If { .. }
            | Work::Switch { .. }
            | Work::Foreach(_)
            | Work::Transform { .. }
            | Work::Stop { .. } => {
                let problem = Problem::new("needless-answer", format!("step {} gets no answer from outside", step.id));
                self.report.add(node, field, problem.fix("remove it: time passes by itself, values are computed"));
                return None;
            }
        };
        let beside: &[&str] = match &step.work {
            Work::Approve(_) => &["by", "comment"],
            Work::Action(_) => &["sent"],
            _ => &[],
        };
        fields.only(&[kinds, beside].concat(), self.report);
        let given: Vec<&str> = kinds.iter().copied().filter(|kind| fields.get_any(kind).is_some()).collect();
        let [kind] = given.as_slice() else {
            let what = format!("an answer to {} has exactly one of {}", step.id, kinds.join(", "));
            self.report.add(node, field, Problem::new("bad-answer", what));
            return None;
        };
        let node = fields.get_any(kind)?;
        let field = fields.field(kind);
        match *kind {
            "output" => self.output(step, node, node.to_json(), &field),
            "sample_with" => {
                let sample = self.sample(step)?;
                let value = self.changed(sample, Some(node), &field);
                self.output(step, node, value, &field)
            }
            "failure" => {
                let sent = fields.flag("sent", true, self.report);
                self.failure(node, &field).map(|failure| Reply::Failure { failure, sent })
            }
            "decision" => self.decision(step, &fields),
            "event" => Some(Reply::Event(Arc::new(node.to_json()))),
            _ => self.time_out(step, node, &field),
        }
    }

    /// What a connector may return, or another flow.
    fn output(&mut self, step: &Step, node: &Node, value: Value, field: &str) -> Option<Reply> {
        let schema = match &step.work {
            Work::Action(action) => {
                let manifest = self.operations.manifest(&action.uses.plugin)?;
                manifest.action(&action.uses.operation).map(|declared| declared.output.clone())
            }
            Work::Call(call) => self.operations.flow(&call.flow).and_then(|facts| facts.output),
            _ => None,
        };
        if let Some(Ok(schema)) = schema.map(|schema| Schema::compile(&schema)) {
            values::fits_constant(&value, &schema, node, field, self.report);
        }
        Some(Reply::Output(Arc::new(value)))
    }

    fn decision(&mut self, step: &Step, fields: &Fields<'_>) -> Option<Reply> {
        let Work::Approve(approve) = &step.work else { return None };
        let choices: Vec<(&str, &String)> = approve.outcomes.iter().map(|word| (word.as_str(), word)).collect();
        let outcome = fields.choice("decision", &choices, self.report)?.clone();
        let by = fields.text("by", self.report).unwrap_or_else(|| SOMEBODY.to_owned());
        Some(Reply::Decision { outcome, by, comment: fields.text("comment", self.report) })
    }

    fn time_out(&mut self, step: &Step, node: &Node, field: &str) -> Option<Reply> {
        let ends = match &step.work {
            Work::Approve(approve) => approve.timeout_ms.is_some(),
            Work::Call(call) => call.timeout_ms.is_some(),
            _ => true,
        };
        if !ends {
            let problem = Problem::new("needless-answer", format!("step {} has no timeout: it waits on", step.id));
            self.report.add(node, field, problem.fix("give the step a timeout, or another answer"));
            return None;
        }
        if !matches!(node.content, Content::Bool(true)) {
            self.report.add(node, field, wrong("timeout", "true", node));
            return None;
        }
        Some(Reply::TimedOut)
    }

    /// A kind in a word, or an object with the kind and what belongs to it.
    fn failure(&mut self, node: &Node, field: &str) -> Option<Failure> {
        let mut given = match &node.content {
            Content::Text(kind) => serde_json::Map::from_iter([("kind".to_owned(), json!(kind))]),
            _ => object(node).unwrap_or_default(),
        };
        let kinds = || FAILURES.iter().map(|(kind, _)| *kind);
        let kind = given.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some((_, own)) = FAILURES.iter().find(|(known, _)| *known == kind) else {
            let problem = wrong("failure", "a kind such as not-found, or { kind: remote, status: 503 }", node);
            self.report.add(node, field, suggest(problem, &kind, kinds()));
            return None;
        };
        if let Some(fields) = matches!(node.content, Content::Object(_)).then(|| Fields::of(node, field, self.report)) {
            fields?.only(&[&["kind"], *own].concat(), self.report);
        }
        for (name, usual) in [
            ("message", json!("the test says so")),
            ("status", json!(500)),
            ("code", json!("other")),
            ("retry_after_ms", Value::Null),
            ("details", Value::Null),
            ("fields", json!([])),
            ("scopes", json!([])),
        ] {
            given.entry(name).or_insert(usual);
        }
        let read = serde_json::from_value(Value::Object(given));
        let explain = |error: serde_json::Error| {
            let problem = Problem::new("bad-failure", format!("a failure {kind} cannot be read: {error}"));
            self.report.add(node, field, problem);
        };
        read.map_err(explain).ok()
    }
}
