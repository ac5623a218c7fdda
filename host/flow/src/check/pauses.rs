//! Steps that wait: for a time, an event, or a person.

use std::collections::BTreeSet;

use model::Problem;
use serde_json::json;

use super::read::Fields;
use super::report::wrong;
use super::shape::{self, Shape};
use super::steps::{Read, Steps};
use super::tree::Content;
use super::values;
use crate::plan::{Approve, Until, Work};
use crate::template::{self, Template};

/// A run that waits longer than a year is a plan for somebody else.
pub(super) const PAUSE_MS_MAX: u64 = 365 * 86_400_000;
/// More answers than this are a form.
const OUTCOMES_MAX: usize = 10;
/// An event's name is a word, not a text.
const NAME_BYTES_MAX: usize = 100;

impl Steps<'_, '_> {
    pub(super) fn wait(&mut self, fields: &Fields<'_>) -> Read {
        self.only(fields, &["wait", "on_error"]);
        let on_error = self.on_error(fields);
        let path = fields.field("wait");
        let inner = fields.get("wait").and_then(|node| Fields::of(node, &path, self.report));
        let Some(inner) = inner else { return Read::leaf(None, Some(Shape::open())) };
        let kinds = ["for", "until", "event"];
        let found: Vec<&str> = kinds.into_iter().filter(|kind| inner.get(kind).is_some()).collect();
        let (until, shape) = match found.as_slice() {
            ["for"] => {
                inner.only(&["for"], self.report);
                let ms = inner.duration("for", PAUSE_MS_MAX, self.report);
                (ms.map(|ms| Until::For { ms }), Shape(json!({ "type": "null" })))
            }
            ["until"] => {
                inner.only(&["until"], self.report);
                (self.instant(&inner).map(Until::At), Shape(json!({ "type": "null" })))
            }
            ["event"] => (self.event(&inner), Shape::open()),
            found => {
                let what = format!("a wait has exactly one of for, until and event, this one has {}", found.len());
                self.report.add(inner.node, &path, Problem::new("bad-wait", what).fix("write wait: { for: 2h }"));
                (None, Shape::open())
            }
        };
        Read::leaf(until.map(|until| Work::Wait { until, on_error }), Some(shape))
    }

    fn event(&mut self, fields: &Fields<'_>) -> Option<Until> {
        fields.only(&["event", "key", "timeout"], self.report);
        fields.required("key", "an expression that names which event", self.report);
        fields.required("timeout", "a time such as 1d", self.report);
        let name = self.event_name(fields);
        let key = self.text_template(fields, "key");
        let timeout_ms = fields.duration("timeout", PAUSE_MS_MAX, self.report);
        Some(Until::Event { name: name?, key: key?, timeout_ms: timeout_ms? })
    }

    fn event_name(&mut self, fields: &Fields<'_>) -> Option<String> {
        let name = fields.text("event", self.report)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
            let node = fields.get("event").unwrap_or(fields.node);
            let problem = wrong("event", "lower-case letters, digits, dots and hyphens", node);
            self.report.add(node, &fields.field("event"), problem.fix("write a name such as invoice.paid"));
            return None;
        }
        Some(name)
    }

    /// When a wait ends; one without expressions is known now.
    fn instant(&mut self, fields: &Fields<'_>) -> Option<Template> {
        let template = self.text_template(fields, "until")?;
        let node = fields.get("until")?;
        let constant = match template.node() {
            Ok(template::Node::Constant(value)) => value.as_str(),
            Ok(_) | Err(_) => None,
        };
        if constant.is_some_and(|text| text.parse::<jiff::Timestamp>().is_err()) {
            let problem = wrong("until", "an instant such as 2026-03-29T09:00:00+02:00", node);
            let fix = "write a date and a time with its offset, or an expression that makes one, such as \
                       {{ run.started_at | add_time('1d') }}";
            self.report.add(node, &fields.field("until"), problem.fix(fix));
            return None;
        }
        Some(template)
    }

    /// A text that may hold expressions.
    fn text_template(&mut self, fields: &Fields<'_>, name: &str) -> Option<Template> {
        let node = fields.get(name)?;
        if !matches!(node.content, Content::Text(_)) {
            self.report.add(node, &fields.field(name), wrong(name, "text", node));
            return None;
        }
        Some(values::read(node, &fields.field(name), &self.names, self.report).template)
    }

    pub(super) fn approve(&mut self, fields: &Fields<'_>) -> Read {
        self.only(fields, &["approve", "on_error"]);
        let on_error = self.on_error(fields);
        let path = fields.field("approve");
        let inner = fields.get("approve").and_then(|node| Fields::of(node, &path, self.report));
        let Some(inner) = inner else { return Read::leaf(None, Some(Shape::open())) };
        inner.only(&["role", "title", "message", "outcomes", "timeout", "on_timeout"], self.report);
        inner.required("role", "who may decide", self.report);
        inner.required("title", "the question in a line", self.report);
        let role = inner.text("role", self.report);
        let (title, message) = (self.text_template(&inner, "title"), self.text_template(&inner, "message"));
        let outcomes = self.outcomes(&inner);
        let timeout_ms = inner.duration("timeout", PAUSE_MS_MAX, self.report);
        let choices: Vec<(&str, usize)> = outcomes.iter().enumerate().map(|(at, word)| (word.as_str(), at)).collect();
        let on_timeout = inner.choice("on_timeout", &choices, self.report).map(|at| outcomes[at].clone());
        if on_timeout.is_some() && timeout_ms.is_none() {
            self.needless(&inner, "on_timeout", "there is no timeout");
        }
        let shape = decision_shape(&outcomes);
        let work = role.zip(title).map(|(role, title)| {
            Work::Approve(Box::new(Approve { role, title, message, outcomes, timeout_ms, on_timeout, on_error }))
        });
        Read::leaf(work, Some(shape))
    }

    fn outcomes(&mut self, fields: &Fields<'_>) -> Vec<String> {
        let usual = || vec!["approve".to_owned(), "reject".to_owned()];
        let Some(node) = fields.get("outcomes") else { return usual() };
        let words: Option<Vec<String>> = match &node.content {
            Content::List(items) => items
                .iter()
                .map(|item| match &item.content {
                    Content::Text(text) if !text.is_empty() => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        let words = words.filter(|words| {
            let different: BTreeSet<&String> = words.iter().collect();
            (1..=OUTCOMES_MAX).contains(&words.len()) && different.len() == words.len()
        });
        words.unwrap_or_else(|| {
            let expected = format!("1 to {OUTCOMES_MAX} different words");
            self.report.add(node, &fields.field("outcomes"), wrong("outcomes", &expected, node));
            usual()
        })
    }
}

/// What `steps.<approval>` is afterwards.
fn decision_shape(outcomes: &[String]) -> Shape {
    let text = json!({ "type": "string" });
    let fields = [
        ("outcome", json!({ "type": "string", "enum": outcomes })),
        ("by", text.clone()),
        ("at", text),
        ("comment", json!({ "type": ["string", "null"] })),
        ("timed_out", json!({ "type": "boolean" })),
    ];
    Shape(shape::of_object(fields.into_iter().map(|(name, schema)| (name.to_owned(), schema))))
}
