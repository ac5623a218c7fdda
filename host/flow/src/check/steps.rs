//! The steps of a document: each read, checked against what comes before it, and
//! laid in one list.

use model::{OperationRef, Problem, Schema, StepId};

use super::accounts::{self, Asked};
use super::names::{Names, Output, Presence};
use super::read::{self, Fields};
use super::report::{Report, wrong};
use super::shape::Shape;
use super::tree::{Content, Node};
use super::values;
use crate::document::{NESTING_MAX, STEPS_MAX};
use crate::operations::Operations;
use crate::plan::{Action, OnError, Outcome, Retry, Step, Work};
use crate::template::Template;

/// Names that mean something else in expressions or messages.
const RESERVED: [&str; 19] = [
    "trigger", "steps", "run", "flow", "env", "item", "loop", "output", "error", "true", "false", "none", "not", "and",
    "or", "in", "is", "if", "else",
];
/// More attempts than this are a flow that should not run.
const ATTEMPTS_MAX: u64 = 20;
const DAY_MS: u64 = 86_400_000;
/// A call that takes longer blocks a worker for nothing.
const TIMEOUT_MS_MAX: u64 = 3_600_000;
const COMMON: [&str; 3] = ["id", "label", "when"];

/// Reads steps; `names` follows the flow as it goes.
pub(super) struct Steps<'a, 'f> {
    pub(super) operations: &'a dyn Operations,
    pub(super) report: &'a mut Report<'f>,
    pub(super) names: Names,
    pub(super) steps: Vec<Option<Step>>,
}

/// The steps of one list, by their places in the plan.
#[derive(Default)]
pub(super) struct Block {
    items: Vec<Item>,
    /// It surely ends the run.
    stops: bool,
}

struct Item {
    index: usize,
    then: Block,
    otherwise: Block,
}

/// What the work of a step means for the steps after it.
struct Read {
    work: Option<Work>,
    shape: Option<Shape>,
    then: Block,
    otherwise: Block,
    stops: bool,
}

impl Read {
    fn leaf(work: Option<Work>, shape: Option<Shape>) -> Self {
        Self { work, shape, then: Block::default(), otherwise: Block::default(), stops: false }
    }
}

impl Steps<'_, '_> {
    /// Reads a list of steps.
    pub(super) fn block(&mut self, node: &Node, field: &str, depth: usize) -> Block {
        let Content::List(items) = &node.content else {
            self.report.add(node, field, wrong(field, "a list of steps", node));
            return Block::default();
        };
        if depth > NESTING_MAX {
            let problem = Problem::new("too-deep", format!("branches are nested deeper than {NESTING_MAX} levels"));
            self.report.add(node, field, problem.fix("divide the flow, or join conditions with and"));
            return Block::default();
        }
        let mut block = Block::default();
        for (at, item) in items.iter().enumerate() {
            if block.stops {
                let problem =
                    Problem::new("unreachable", "this step is never executed: the one before it ends the run");
                self.report.add(item, &format!("{field}[{at}]"), problem.fix("remove it, or give the stop a when"));
                break;
            }
            self.item(item, &format!("{field}[{at}]"), depth, &mut block);
        }
        block
    }

    fn item(&mut self, node: &Node, field: &str, depth: usize, block: &mut Block) {
        let Some(mut fields) = Fields::of(node, field, self.report) else { return };
        if self.steps.len() >= STEPS_MAX {
            if self.steps.len() == STEPS_MAX {
                let problem = Problem::new("too-many-steps", format!("the flow has more than {STEPS_MAX} steps"));
                self.report.add(node, field, problem.fix("divide it into several flows"));
                self.steps.push(None);
            }
            return;
        }
        let index = self.steps.len();
        self.steps.push(None);
        let id = self.id(&fields);
        if let Some(id) = &id {
            fields.path = format!("steps.{id}");
        }
        self.names.current = id.as_ref().map(StepId::to_string);
        let when = fields.get("when").map(|when| self.condition(when, &fields.field("when")));
        let around = self.names.guards.len();
        self.names.guards.extend(when.iter().flat_map(values::guards));
        let label = fields.text("label", self.report);
        let first = self.names.steps.len();
        let read = self.work(&fields, depth);
        self.names.guards.truncate(around);
        let conditional = when.is_some();
        if conditional {
            self.downgrade(first, "its if step may be skipped (when)");
        }
        self.leave(id.as_ref(), &read, conditional);
        block.stops = read.stops && !conditional;
        block.items.push(Item { index, then: read.then, otherwise: read.otherwise });
        self.steps[index] = id.zip(read.work).map(|(id, work)| Step { id, label, when, work, next: None });
    }

    /// Makes the step's output known to the steps after it.
    fn leave(&mut self, id: Option<&StepId>, read: &Read, conditional: bool) {
        let Some(id) = id else { return };
        let may_fail = match &read.work {
            Some(Work::Action(action)) => action.on_error == OnError::Continue,
            Some(Work::Transform { on_error, .. }) => *on_error == OnError::Continue,
            Some(Work::If { .. } | Work::Stop { .. }) | None => false,
        };
        let presence = match conditional {
            true => Presence::Maybe("the step may be skipped (when)".to_owned()),
            false => Presence::Sure,
        };
        self.names.steps.push(Output { id: id.to_string(), shape: read.shape.clone(), presence, may_fail });
    }

    fn downgrade(&mut self, from: usize, reason: &str) {
        for output in self.names.steps.iter_mut().skip(from).filter(|output| output.presence == Presence::Sure) {
            output.presence = Presence::Maybe(reason.to_owned());
        }
    }

    fn id(&mut self, fields: &Fields<'_>) -> Option<StepId> {
        let node = fields.required("id", "a name, unique in the flow", self.report)?;
        let id: StepId = read::parse_name(node, "id", &fields.field("id"), self.report)?;
        if RESERVED.contains(&id.as_str()) {
            let problem =
                Problem::new("reserved-name", format!("{id:?} means something else in expressions", id = id.as_str()));
            self.report.add(
                node,
                &fields.field("id"),
                problem.fix(format!("write {id}_step, or a name that says what it does")),
            );
        }
        if self.names.all.iter().filter(|known| *known == id.as_str()).count() > 1 {
            let problem = Problem::new("duplicate-step", format!("there is more than one step {:?}", id.as_str()));
            self.report.add(node, &fields.field("id"), problem.fix("give each step a name of its own"));
        }
        Some(id)
    }

    fn condition(&mut self, node: &Node, field: &str) -> Template {
        values::read_condition(node, field, &self.names, self.report)
    }

    fn work(&mut self, fields: &Fields<'_>, depth: usize) -> Read {
        let kinds = ["uses", "if", "transform", "stop"].into_iter().filter(|kind| fields.get_any(kind).is_some());
        match kinds.collect::<Vec<_>>().as_slice() {
            ["uses"] => self.action(fields),
            ["if"] => self.branches(fields, depth),
            ["transform"] => self.transform(fields),
            ["stop"] => self.stop(fields),
            kinds => {
                let what =
                    format!("a step has exactly one of uses, if, transform and stop, this one has {}", kinds.len());
                self.only(fields, &["uses", "if", "transform", "stop"]);
                self.report.add(fields.node, &fields.path, Problem::new("no-work", what));
                Read::leaf(None, Some(Shape::open()))
            }
        }
    }

    fn only(&mut self, fields: &Fields<'_>, own: &[&str]) {
        let known: Vec<&str> = COMMON.iter().chain(own).copied().collect();
        fields.only(&known, self.report);
    }

    fn action(&mut self, fields: &Fields<'_>) -> Read {
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

    fn retry(&mut self, fields: &Fields<'_>) -> Retry {
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

    fn on_error(&mut self, fields: &Fields<'_>) -> OnError {
        let choices = [("fail", OnError::Fail), ("continue", OnError::Continue)];
        fields.choice("on_error", &choices, self.report).unwrap_or_default()
    }

    fn branches(&mut self, fields: &Fields<'_>, depth: usize) -> Read {
        self.only(fields, &["if", "then", "else"]);
        let condition = fields.get("if").map(|node| self.condition(node, &fields.field("if")));
        let around = self.names.guards.len();
        self.names.guards.extend(condition.iter().flat_map(values::guards));
        let first = self.names.steps.len();
        let then = match fields.required("then", "a list of steps", self.report) {
            Some(node) => self.block(node, &fields.field("then"), depth + 1),
            None => Block::default(),
        };
        self.names.guards.truncate(around);
        let second = self.names.steps.len();
        let kept: Vec<Output> = self.names.steps[first..second].to_vec();
        for output in &mut self.names.steps[first..second] {
            output.presence = Presence::Elsewhere;
        }
        let otherwise = match fields.get("else") {
            Some(node) => self.block(node, &fields.field("else"), depth + 1),
            None => Block::default(),
        };
        let last = self.names.steps.split_off(second);
        self.names.steps.truncate(first);
        self.join(kept, otherwise.stops, then.stops);
        self.join(last, then.stops, otherwise.stops);
        let stops = then.stops && otherwise.stops;
        let work = condition.map(|condition| Work::If { condition, then: None, otherwise: None });
        Read { then, otherwise, stops, ..Read::leaf(work, None) }
    }

    /// Takes a branch's outputs back in: sure only when the other branch ends the run.
    fn join(&mut self, outputs: Vec<Output>, other_stops: bool, own_stops: bool) {
        let first = self.names.steps.len();
        self.names.steps.extend(outputs);
        if own_stops {
            for output in &mut self.names.steps[first..] {
                output.presence = Presence::Elsewhere;
            }
        } else if !other_stops {
            self.downgrade(first, "it is in a branch that may not be taken");
        }
    }

    fn transform(&mut self, fields: &Fields<'_>) -> Read {
        self.only(fields, &["transform", "on_error"]);
        let on_error = self.on_error(fields);
        let Some(node) = fields.get_any("transform") else { return Read::leaf(None, Some(Shape::open())) };
        let made = values::read(node, &fields.field("transform"), &self.names, self.report);
        Read::leaf(Some(Work::Transform { value: made.template, on_error }), Some(made.shape))
    }

    fn stop(&mut self, fields: &Fields<'_>) -> Read {
        self.only(fields, &["stop"]);
        let path = fields.field("stop");
        let inner = fields.get("stop").and_then(|node| Fields::of(node, &path, self.report));
        let Some(inner) = inner else { return Read { stops: true, ..Read::leaf(None, None) } };
        inner.only(&["outcome", "reason", "output"], self.report);
        inner.required("outcome", "succeeded or failed", self.report);
        let choices = [("succeeded", Outcome::Succeeded), ("failed", Outcome::Failed)];
        let outcome = inner.choice("outcome", &choices, self.report);
        inner.text("reason", self.report);
        let mut template = |name: &str| {
            let node = inner.get(name)?;
            Some(values::read(node, &inner.field(name), &self.names, self.report).template)
        };
        let (reason, output) = (template("reason"), template("output"));
        let work = outcome.map(|outcome| Work::Stop { outcome, reason, output });
        Read { stops: true, ..Read::leaf(work, None) }
    }
}

impl Block {
    /// Where the block begins.
    pub(super) fn first(&self) -> Option<usize> {
        self.items.first().map(|item| item.index)
    }

    /// Tells every step which one follows it; `after` follows the block.
    pub(super) fn link(&self, after: Option<usize>, steps: &mut [Option<Step>]) {
        for (at, item) in self.items.iter().enumerate() {
            let following = self.items.get(at + 1).map(|next| next.index).or(after);
            if let Some(step) = &mut steps[item.index] {
                step.next = following;
                if let Work::If { then, otherwise, .. } = &mut step.work {
                    *then = item.then.first();
                    *otherwise = item.otherwise.first();
                }
            }
            item.then.link(following, steps);
            item.otherwise.link(following, steps);
        }
    }
}
