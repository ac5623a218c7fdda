//! `tests` of a document: read against the plan of the same document, so that every
//! name in them is known and every value fits before anything is run.

mod answers;
mod expect;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Problem, Schema, StepId};
use serde_json::{Map, Value};

use super::read::Fields;
use super::report::{Report, suggest, wrong};
use super::tree::{Content, Node};
use super::values;
use crate::operations::Operations;
use crate::plan::{Plan, Step, Trigger};
use crate::run::{Iteration, Spot};
use crate::schedule::Schedule;
use crate::testing::Test;

/// More are a suite of several flows.
const TESTS_MAX: usize = 100;
/// When a run of a test began, unless the test says when: the first of a year.
const STARTED_AT: &str = "2026-01-01T00:00:00Z";

/// What the tests of one document are read against.
pub(super) struct Reading<'a, 'f> {
    pub(super) plan: &'a Plan,
    pub(super) operations: &'a dyn Operations,
    pub(super) report: &'a mut Report<'f>,
}

impl Reading<'_, '_> {
    pub(super) fn tests(&mut self, node: &Node) -> Vec<Test> {
        let Content::List(items) = &node.content else {
            self.report.add(node, "tests", wrong("tests", "a list of tests", node));
            return Vec::new();
        };
        if items.len() > TESTS_MAX {
            let what = format!("a flow has at most {TESTS_MAX} tests, this one has {}", items.len());
            self.report.add(node, "tests", Problem::new("too-many-tests", what).fix("divide the flow"));
        }
        let samples = self.samples();
        let mut tests: Vec<Test> = Vec::new();
        for (at, item) in items.iter().take(TESTS_MAX).enumerate() {
            let Some(fields) = Fields::of(item, &format!("tests[{at}]"), self.report) else { continue };
            let Some(test) = self.test(&fields, &samples) else { continue };
            if tests.iter().any(|other| other.name == test.name) {
                let problem = Problem::new("duplicate-test", format!("there is more than one test {:?}", test.name));
                self.report.add(item, &fields.field("name"), problem.fix("give each test a name of its own"));
            }
            tests.push(test);
        }
        tests
    }

    fn test(&mut self, fields: &Fields<'_>, samples: &BTreeMap<StepId, Arc<Value>>) -> Option<Test> {
        fields.only(&["name", "started_at", "trigger", "sample_with", "answers", "expect"], self.report);
        fields.required("name", "what it shows, in a few words", self.report);
        let name = fields.text("name", self.report);
        let started = self.started_at(fields);
        let trigger = self.trigger(fields, started);
        let replies = self.answers(fields);
        let expect = self.expect(fields);
        Some(Test {
            name: name?,
            trigger: Arc::new(trigger),
            started_at: format!("{started:.3}"),
            replies,
            samples: samples.clone(),
            expect,
        })
    }

    fn started_at(&mut self, fields: &Fields<'_>) -> jiff::Timestamp {
        let usual = || STARTED_AT.parse().expect("the constant is an instant");
        let Some(node) = fields.get("started_at") else { return usual() };
        let found = fields.text("started_at", self.report).map(|text| text.parse());
        match found {
            Some(Ok(at)) => at,
            Some(Err(_)) => {
                let expected = "an instant such as 2026-03-29T09:00:00+02:00";
                self.report.add(node, &fields.field("started_at"), wrong("started_at", expected, node));
                usual()
            }
            None => usual(),
        }
    }

    /// The event: written whole, or the connector's sample with some fields changed.
    fn trigger(&mut self, fields: &Fields<'_>, started: jiff::Timestamp) -> Value {
        let (whole, with) = (fields.get_any("trigger"), fields.get("sample_with"));
        if let (Some(_), Some(node)) = (whole, with) {
            let problem = Problem::new("needless-key", "a test has trigger or sample_with, this one has both");
            self.report.add(node, &fields.field("sample_with"), problem.fix("remove one of them"));
        }
        let (node, field) = match (whole, with) {
            (Some(node), _) => (node, fields.field("trigger")),
            (None, Some(node)) => (node, fields.field("sample_with")),
            (None, None) => (fields.node, fields.field("trigger")),
        };
        let value = match (whole, self.sample_event(started)) {
            (Some(node), _) => node.to_json(),
            (None, Some(sample)) => self.changed(sample, with, &field),
            (None, None) if with.is_some() => {
                let problem = Problem::new("no-sample", "what starts this flow has no sample that could be changed");
                self.report.add(node, &field, problem.fix("write the whole event: trigger: { ... }"));
                return Value::Null;
            }
            (None, None) => Value::Null,
        };
        if let Some(Ok(schema)) = event_schema(self.plan.trigger()).map(|schema| Schema::compile(&schema)) {
            if whole.is_none() && with.is_none() && !schema.check(&value).is_empty() {
                fields.required("trigger", "the event that starts the run", self.report);
                return value;
            }
            values::fits_constant(&value, &schema, node, &field, self.report);
        }
        value
    }

    /// The sample with the fields that the test gives instead.
    fn changed(&mut self, sample: Value, with: Option<&Node>, field: &str) -> Value {
        let Some(with) = with else { return sample };
        match (sample, with.to_json()) {
            (Value::Object(mut fields), Value::Object(new)) => {
                fields.extend(new);
                Value::Object(fields)
            }
            (sample, _) => {
                self.report.add(with, field, wrong("sample_with", "an object of fields", with));
                sample
            }
        }
    }

    fn sample_event(&self, started: jiff::Timestamp) -> Option<Value> {
        let uses = match self.plan.trigger() {
            Trigger::Connector { uses, .. } => uses,
            Trigger::Poll(poll) => &poll.uses,
            Trigger::Schedule(schedule) => {
                let at_ms = u64::try_from(started.as_millisecond()).unwrap_or_default();
                return Some(schedule.event(at_ms, None, 0));
            }
            Trigger::Webhook { .. } | Trigger::Manual { .. } | Trigger::Call { .. } => return None,
        };
        let manifest = self.operations.manifest(&uses.plugin)?;
        manifest.trigger(&uses.operation).map(|trigger| trigger.sample.event.clone())
    }

    /// What each action returns when a test does not say.
    fn samples(&self) -> BTreeMap<StepId, Arc<Value>> {
        let sample = |step: &Step| Some((step.id.clone(), Arc::new(self.sample(step)?)));
        self.plan.steps().iter().filter_map(sample).collect()
    }

    /// What the connector gives as the example of an action's output.
    fn sample(&self, step: &Step) -> Option<Value> {
        let uses = &step.work.as_action()?.uses;
        let manifest = self.operations.manifest(&uses.plugin)?;
        Some(manifest.action(&uses.operation)?.sample.output.clone())
    }

    /// The step that a key means, and of which items of the loops around it:
    /// `post`, `post[1]`.
    fn spot(&mut self, text: &str, node: &Node, field: &str) -> Option<(Spot, usize)> {
        let (name, indexes) = text.split_at(text.find('[').unwrap_or(text.len()));
        let steps = self.plan.steps();
        let Some(index) = steps.iter().position(|step| step.id.as_str() == name) else {
            let problem = Problem::new("unknown-step", format!("there is no step {name:?}"));
            let known = steps.iter().map(|step| step.id.as_str());
            self.report.add(node, field, suggest(problem, name, known));
            return None;
        };
        let Some(iteration) = iteration(indexes) else {
            let problem = Problem::new("bad-item", format!("{text:?} is no item of a loop"));
            self.report.add(node, field, problem.fix(format!("write {name}[0] for its first item")));
            return None;
        };
        let loops = loops_around(steps, index);
        if iteration.indexes().len() > loops {
            let what = format!("{text} names {} loops, step {name} is in {loops}", iteration.indexes().len());
            self.report.add(node, field, Problem::new("bad-item", what).fix(format!("write {name}")));
            return None;
        }
        Some((Spot { step: steps[index].id.clone(), iteration }, index))
    }
}

/// `[1][0]` as indexes.
fn iteration(text: &str) -> Option<Iteration> {
    if text.is_empty() {
        return Some(Iteration::default());
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.split("][").try_fold(Iteration::default(), |around, index| Some(around.item(index.parse().ok()?)))
}

/// How many loops a step is inside of.
fn loops_around(steps: &[Step], index: usize) -> usize {
    let loops = steps.iter().enumerate().filter_map(|(at, step)| Some((at, step.work.as_foreach()?.end)));
    loops.filter(|(begin, end)| *begin < index && index < *end).count()
}

/// What the trigger's events look like; none: anything.
fn event_schema(trigger: &Trigger) -> Option<Value> {
    match trigger {
        Trigger::Connector { event, .. } => Some(event.clone()),
        Trigger::Poll(poll) => Some(poll.event.clone()),
        Trigger::Webhook { event, .. } => event.clone(),
        Trigger::Manual { input } | Trigger::Call { input, .. } => input.clone(),
        Trigger::Schedule(_) => Some(Schedule::event_schema()),
    }
}

/// An object's members by their keys; null counts as none.
fn members(node: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let entries = match &node.content {
        Content::Object(entries) => entries.as_slice(),
        Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) | Content::List(_) => &[],
    };
    entries.iter().map(|(name, node)| (name.as_str(), node))
}

/// The fields of an object, when it is one.
fn object(node: &Node) -> Option<Map<String, Value>> {
    match node.to_json() {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}
