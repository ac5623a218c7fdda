//! The steps of a document: each read, checked against what comes before it, and
//! laid in one list.

use model::{FlowId, Problem, StepId};

use super::names::{Names, Output, Presence};
use super::read::{self, Fields};
use super::report::{Report, wrong};
use super::shape::Shape;
use super::tree::{Content, Node};
use super::values;
use crate::document::{NESTING_MAX, STEPS_MAX};
use crate::operations::Operations;
use crate::plan::{OnError, Outcome, Step, Work};
use crate::template::Template;

/// Names that mean something else in expressions or messages.
const RESERVED: [&str; 19] = [
    "trigger", "steps", "run", "flow", "env", "item", "loop", "output", "error", "true", "false", "none", "not", "and",
    "or", "in", "is", "if", "else",
];
/// What a step may be; exactly one of them.
const KINDS: [&str; 9] = ["uses", "if", "switch", "foreach", "call", "wait", "approve", "transform", "stop"];
const COMMON: [&str; 3] = ["id", "label", "when"];

/// Reads steps; `names` follows the flow as it goes.
pub(super) struct Steps<'a, 'f> {
    pub(super) operations: &'a dyn Operations,
    pub(super) report: &'a mut Report<'f>,
    pub(super) names: Names,
    pub(super) steps: Vec<Option<Step>>,
    /// Several items of a loop around may be under way at once.
    pub(super) concurrent: bool,
    /// These are the steps of a run that has failed.
    pub(super) failing: bool,
    /// The flow itself, for calls that come back to it.
    pub(super) own: Option<FlowId>,
}

/// The steps of one list, by their places in the plan.
#[derive(Default)]
pub(super) struct Block {
    items: Vec<Item>,
    /// It surely ends the run.
    pub(super) stops: bool,
}

struct Item {
    index: usize,
    inner: Vec<(Slot, Block)>,
}

/// What a list of steps inside a step is to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Then,
    Else,
    Case(usize),
    Default,
    Body,
    Error,
}

/// What the work of a step means for the steps after it.
pub(super) struct Read {
    pub(super) work: Option<Work>,
    pub(super) shape: Option<Shape>,
    pub(super) inner: Vec<(Slot, Block)>,
    pub(super) stops: bool,
}

impl Read {
    pub(super) fn leaf(work: Option<Work>, shape: Option<Shape>) -> Self {
        Self { work, shape, inner: Vec::new(), stops: false }
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
            let problem = Problem::new("too-deep", format!("steps are nested deeper than {NESTING_MAX} levels"));
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
        let mut read = self.work(&fields, depth);
        let recovers = self.error_steps(&fields, id.as_ref(), depth, &mut read);
        self.names.guards.truncate(around);
        let conditional = when.is_some();
        if conditional {
            self.downgrade(first, "its if step may be skipped (when)");
        }
        self.leave(id.as_ref(), &read, conditional, recovers);
        block.stops = read.stops && !conditional;
        block.items.push(Item { index, inner: read.inner });
        self.steps[index] = id.zip(read.work).map(|(id, work)| Step { id, label, when, work, next: None });
    }

    /// Makes the step's output known to the steps after it.
    fn leave(&mut self, id: Option<&StepId>, read: &Read, conditional: bool, recovers: bool) {
        let Some(id) = id else { return };
        let may_fail = recovers && read.work.as_ref().is_some_and(|work| work.on_error() != OnError::Fail);
        let presence = match conditional {
            true => Presence::Maybe("the step may be skipped (when)".to_owned()),
            false => Presence::Sure,
        };
        self.names.steps.push(Output { id: id.to_string(), shape: read.shape.clone(), presence, may_fail });
    }

    pub(super) fn downgrade(&mut self, from: usize, reason: &str) {
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

    pub(super) fn condition(&mut self, node: &Node, field: &str) -> Template {
        values::read_condition(node, field, &self.names, self.report)
    }

    fn work(&mut self, fields: &Fields<'_>, depth: usize) -> Read {
        // One left empty counts as absent; but a step may well make nothing out of something.
        let said = |kind: &&str| *kind == "transform" || fields.get(kind).is_some();
        let kinds = KINDS.into_iter().filter(|kind| fields.get_any(kind).is_some()).filter(said);
        match kinds.collect::<Vec<_>>().as_slice() {
            ["uses"] => self.action(fields),
            ["if"] => self.branches(fields, depth),
            ["switch"] => self.switch(fields, depth),
            ["foreach"] => self.foreach(fields, depth),
            ["call"] => self.call_flow(fields),
            ["wait"] => self.wait(fields),
            ["approve"] => self.approve(fields),
            ["transform"] => self.transform(fields),
            ["stop"] => self.stop(fields),
            kinds => {
                let what = format!("a step has exactly one of {}, this one has {}", KINDS.join(", "), kinds.len());
                self.only(fields, &KINDS);
                self.report.add(fields.node, &fields.path, Problem::new("no-work", what));
                Read::leaf(None, Some(Shape::open()))
            }
        }
    }

    pub(super) fn only(&mut self, fields: &Fields<'_>, own: &[&str]) {
        let known: Vec<&str> = COMMON.iter().chain(own).copied().collect();
        fields.only(&known, self.report);
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
        if self.failing {
            let problem = Problem::new("stop-in-on-error", "the run has failed already: a stop cannot change that");
            self.report.add(fields.node, &fields.path, problem.fix("remove it; the run ends as it failed"));
        } else if self.concurrent {
            let problem = Problem::new("stop-in-loop", "a stop cannot stand in a loop with several items under way");
            let fix = "remove concurrency from the loops around, or let an item fail instead (on_item_error: fail)";
            self.report.add(fields.node, &fields.path, problem.fix(fix));
        }
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
                item.inner.iter().for_each(|(slot, block)| enter(&mut step.work, *slot, block.first()));
            }
            for (slot, block) in &item.inner {
                // Behind a loop's body comes the end of the item, not the next step.
                block.link(following.filter(|_| *slot != Slot::Body), steps);
            }
        }
    }
}

fn enter(work: &mut Work, slot: Slot, first: Option<usize>) {
    match (work, slot) {
        (Work::If { then, .. }, Slot::Then) => *then = first,
        (Work::If { otherwise, .. }, Slot::Else) | (Work::Switch { otherwise, .. }, Slot::Default) => {
            *otherwise = first;
        }
        (Work::Switch { cases, .. }, Slot::Case(index)) => {
            if let Some(case) = cases.get_mut(index) {
                case.first = first;
            }
        }
        (Work::Foreach(foreach), Slot::Body) => foreach.body = first,
        (work, Slot::Error) => work.set_on_error(OnError::Branch(first)),
        (
            Work::Action(_)
            | Work::If { .. }
            | Work::Switch { .. }
            | Work::Foreach(_)
            | Work::Call(_)
            | Work::Wait { .. }
            | Work::Approve(_)
            | Work::Transform { .. }
            | Work::Stop { .. },
            _,
        ) => {}
    }
}
