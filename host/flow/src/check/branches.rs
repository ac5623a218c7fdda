//! Steps that go one of several ways: `if` and `switch`.
//!
//! What a branch leaves behind is sure afterwards only when every other branch ends
//! the run; inside one branch, the others have never happened.

use model::Problem;
use serde_json::Value;

use super::names::{Output, Presence};
use super::read::Fields;
use super::report::wrong;
use super::steps::{Block, Read, Slot, Steps};
use super::tree::{Content, Node};
use super::values;
use crate::plan::{Case, Work};

/// More ways than this are a table: a `lookup`, or several flows.
const CASES_MAX: usize = 50;

/// The branches of one step, as they are read.
struct Branches {
    /// Where the outputs of the branches begin.
    first: usize,
    arms: Vec<Arm>,
}

struct Arm {
    slot: Slot,
    block: Block,
    outputs: Vec<Output>,
}

impl Steps<'_, '_> {
    pub(super) fn branches(&mut self, fields: &Fields<'_>, depth: usize) -> Read {
        self.only(fields, &["if", "then", "else", "on_error"]);
        let on_error = self.on_error(fields);
        let condition = fields.get("if").map(|node| self.condition(node, &fields.field("if")));
        let mut branches = self.begin_branches();
        let around = self.names.guards.len();
        self.names.guards.extend(condition.iter().flat_map(values::guards));
        let then = fields.required("then", "a list of steps", self.report);
        self.arm(&mut branches, Slot::Then, then, &fields.field("then"), depth);
        self.names.guards.truncate(around);
        self.arm(&mut branches, Slot::Else, fields.get("else"), &fields.field("else"), depth);
        let work = condition.map(|condition| Work::If { condition, then: None, otherwise: None, on_error });
        self.end_branches(branches, work)
    }

    pub(super) fn switch(&mut self, fields: &Fields<'_>, depth: usize) -> Read {
        self.only(fields, &["switch", "cases", "default", "on_error"]);
        let on_error = self.on_error(fields);
        let made =
            fields.get("switch").map(|node| values::read(node, &fields.field("switch"), &self.names, self.report));
        let mut branches = self.begin_branches();
        let cases = self.cases(fields, &mut branches, depth);
        self.arm(&mut branches, Slot::Default, fields.get("default"), &fields.field("default"), depth);
        let work = made.map(|made| Work::Switch { value: made.template, cases, otherwise: None, on_error });
        self.end_branches(branches, work)
    }

    fn cases(&mut self, fields: &Fields<'_>, branches: &mut Branches, depth: usize) -> Vec<Case> {
        let expected = "a list of { is, steps }";
        let Some(node) = fields.required("cases", expected, self.report) else { return Vec::new() };
        let field = fields.field("cases");
        let Content::List(items) = &node.content else {
            self.report.add(node, &field, wrong("cases", expected, node));
            return Vec::new();
        };
        if items.is_empty() || items.len() > CASES_MAX {
            let what = format!("a switch has 1 to {CASES_MAX} cases, this one has {}", items.len());
            self.report.add(
                node,
                &field,
                Problem::new("bad-switch", what).fix("write a transform with lookup instead"),
            );
        }
        let mut seen = Vec::new();
        let mut cases = Vec::new();
        for (at, item) in items.iter().take(CASES_MAX).enumerate() {
            let Some(inner) = Fields::of(item, &format!("{field}[{at}]"), self.report) else { continue };
            inner.only(&["is", "steps"], self.report);
            let is = self.case_values(&inner, &mut seen);
            let steps = inner.required("steps", "a list of steps", self.report);
            self.arm(branches, Slot::Case(cases.len()), steps, &inner.field("steps"), depth);
            cases.push(Case { is, first: None });
        }
        cases
    }

    /// The values that take a case: constants, each of them once in a switch.
    fn case_values(&mut self, fields: &Fields<'_>, seen: &mut Vec<Value>) -> Vec<Value> {
        if fields.get_any("is").is_none() {
            fields.required("is", "a value, or a list of them", self.report);
        }
        let Some(node) = fields.get_any("is") else { return Vec::new() };
        let field = fields.field("is");
        let values = match node.to_json() {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in &values {
            if value.as_str().is_some_and(|text| text.contains("{{")) {
                let problem = Problem::new("case-expression", "a case is a constant, not an expression");
                self.report.add(node, &field, problem.fix("write the value, or use if for conditions"));
            } else if seen.contains(value) {
                let problem = Problem::new("duplicate-case", format!("{value} is taken by a case before this one"));
                self.report.add(node, &field, problem.fix("remove it from one of the two"));
            } else {
                seen.push(value.clone());
            }
        }
        values
    }

    fn begin_branches(&self) -> Branches {
        Branches { first: self.names.steps.len(), arms: Vec::new() }
    }

    /// Reads one branch; an absent one is empty.
    fn arm(&mut self, branches: &mut Branches, slot: Slot, node: Option<&Node>, field: &str, depth: usize) {
        let from = self.names.steps.len();
        let block = node.map(|node| self.block(node, field, depth + 1)).unwrap_or_default();
        let outputs = self.names.steps[from..].to_vec();
        for output in &mut self.names.steps[from..] {
            output.presence = Presence::Elsewhere;
        }
        branches.arms.push(Arm { slot, block, outputs });
    }

    fn end_branches(&mut self, branches: Branches, work: Option<Work>) -> Read {
        self.names.steps.truncate(branches.first);
        let open = branches.arms.iter().filter(|arm| !arm.block.stops).count();
        for arm in &branches.arms {
            let from = self.names.steps.len();
            self.names.steps.extend(arm.outputs.iter().cloned());
            if arm.block.stops {
                for output in &mut self.names.steps[from..] {
                    output.presence = Presence::Elsewhere;
                }
            } else if open > 1 {
                self.downgrade(from, "it is in a branch that may not be taken");
            }
        }
        let inner = branches.arms.into_iter().map(|arm| (arm.slot, arm.block)).collect();
        Read { inner, stops: open == 0, ..Read::leaf(work, None) }
    }
}
