//! Steps that call other flows: which may be called, and which called again.

use std::collections::BTreeSet;

use model::{FlowId, Problem, Schema};

use super::pauses::PAUSE_MS_MAX;
use super::read::Fields;
use super::report::suggest;
use super::shape::Shape;
use super::steps::{Read, Steps};
use super::tree::{Content, Node};
use super::values;
use crate::operations::{CallFacts, Operations, why_once};
use crate::plan::{Plan, Step, SubFlow, Work};

impl Steps<'_, '_> {
    pub(super) fn call_flow(&mut self, fields: &Fields<'_>) -> Read {
        self.only(fields, &["call", "input", "timeout", "retry", "on_error"]);
        let retry = fields.get("retry").map(|_| self.retry(fields));
        let on_error = self.on_error(fields);
        let timeout_ms = fields.duration("timeout", PAUSE_MS_MAX, self.report);
        let empty = Node { at: fields.node.at, content: Content::Object(Vec::new()) };
        let input_node = fields.get("input").unwrap_or(&empty);
        let made = values::read(input_node, &fields.field("input"), &self.names, self.report);
        let unknown = || Read::leaf(None, Some(Shape::open()));
        let Some(flow) = fields.name::<FlowId>("call", self.report) else { return unknown() };
        let node = fields.get("call").unwrap_or(fields.node);
        let facts = match callable(&flow, self.own.as_ref(), self.operations) {
            Ok(facts) => facts,
            Err(problem) => {
                self.report.add(node, &fields.field("call"), problem);
                return unknown();
            }
        };
        if let Some(Ok(schema)) = facts.input.as_ref().map(Schema::compile) {
            values::fits(&made, &schema, input_node, &fields.field("input"), self.report);
        }
        if let (Some(node), Some(problem)) = (fields.get("retry"), not_repeatable(&flow, self.operations)) {
            self.report.add(node, &fields.field("retry"), problem);
        }
        let call = SubFlow { flow, input: made.template, timeout_ms, retry, on_error };
        let shape = facts.output.map_or_else(Shape::open, Shape);
        Read::leaf(Some(Work::Call(Box::new(call))), Some(shape))
    }
}

/// What stands against the calls of a plan that was checked before: the flows that it
/// calls may be others by now.
pub fn check_calls(plan: &Plan, operations: &dyn Operations) -> Vec<Problem> {
    let problem = |step: &Step| {
        let call = step.work.as_call()?;
        let again = || call.retry.and_then(|_| not_repeatable(&call.flow, operations));
        match callable(&call.flow, Some(plan.id()), operations) {
            Err(problem) => Some(problem.field(format!("steps.{}.call", step.id))),
            Ok(_) => again().map(|problem| problem.field(format!("steps.{}.retry", step.id))),
        }
    };
    plan.steps().iter().filter_map(problem).collect()
}

/// What is known of a flow that can be called from `own`.
fn callable(flow: &FlowId, own: Option<&FlowId>, operations: &dyn Operations) -> Result<CallFacts, Problem> {
    if own == Some(flow) {
        let problem = Problem::new("call-cycle", format!("flow {flow} calls itself"));
        return Err(problem.fix("repeat with foreach, or divide the flow"));
    }
    let Some(facts) = operations.flow(flow) else {
        let known = operations.flows();
        let problem = Problem::new("unknown-flow", format!("there is no published flow {:?}", flow.as_str()));
        return Err(suggest(problem, flow.as_str(), known.iter().map(FlowId::as_str)));
    };
    if !facts.callable {
        let problem = Problem::new("not-callable", format!("flow {flow} is not started by calls"));
        return Err(problem.fix("give it the trigger call: {}, or call another one"));
    }
    if let Some(own) = own
        && let Some(path) = way_back(flow, own, operations, &mut BTreeSet::new())
    {
        let way: Vec<String> = [own].into_iter().chain(&path).map(FlowId::to_string).collect();
        let problem = Problem::new("call-cycle", format!("the flows call each other without end: {}", way.join(" > ")));
        return Err(problem.fix("remove one of these calls"));
    }
    Ok(facts)
}

/// A step that tries again calls only what may be done twice.
fn not_repeatable(flow: &FlowId, operations: &dyn Operations) -> Option<Problem> {
    let why = why_once(flow, operations)?;
    let problem = Problem::new("not-repeatable", format!("flow {flow} cannot be tried again as a whole: {why}"))
        .cause("each try is a run of its own, with new idempotency keys")
        .fix(format!("remove retry here: the steps of flow {flow} have their own, which keep their keys"));
    Some(problem)
}

/// The calls that lead from one flow to another one.
fn way_back(
    from: &FlowId,
    to: &FlowId,
    operations: &dyn Operations,
    seen: &mut BTreeSet<FlowId>,
) -> Option<Vec<FlowId>> {
    if from == to {
        return Some(vec![to.clone()]);
    }
    if !seen.insert(from.clone()) {
        return None;
    }
    let facts = operations.flow(from)?;
    facts.calls.iter().find_map(|next| {
        let mut way = way_back(next, to, operations, seen)?;
        way.insert(0, from.clone());
        Some(way)
    })
}
