//! Flows that others call: the trigger, and what a function may contain.

use model::{Effect, Problem, Schema};

use super::read::Fields;
use super::report::{Report, wrong};
use super::shape::Shape;
use super::tree::{Content, Node};
use super::trigger::{Started, schema};
use crate::operations::Operations;
use crate::plan::{Plan, Step, Trigger, Work};

/// Reads the trigger `call`.
pub(super) fn trigger(fields: &Fields<'_>, report: &mut Report<'_>) -> Started {
    fields.only(&["call"], report);
    let inner = fields.get("call").and_then(|node| Fields::of(node, "trigger.call", report));
    let Some(inner) = inner else { return Started::unknown() };
    inner.only(&["input", "output", "function"], report);
    let (input, output) = (schema(&inner, "input", report), schema(&inner, "output", report));
    let function = inner.get("function").is_some_and(|node| match node.content {
        Content::Bool(function) => function,
        Content::Null | Content::Number(_) | Content::Text(_) | Content::List(_) | Content::Object(_) => {
            report.add(node, "trigger.call.function", wrong("function", "true or false", node));
            false
        }
    });
    let event = input.clone().map_or_else(Shape::open, Shape);
    Started { trigger: Some(Trigger::Call { input, output, function }), respond: None, event }
}

/// A function only reads and computes, and says what it returns.
pub(super) fn check_function(plan: &Plan, document: &Node, operations: &dyn Operations, report: &mut Report<'_>) {
    let Trigger::Call { output, function: true, .. } = plan.trigger() else { return };
    let names = output.as_ref().and_then(|output| output.get("properties")).is_some();
    if !names {
        let problem = Problem::new("function-output", "a function says what it returns");
        let fix = "add output to the trigger: { type: object, properties: { name: { type: string } } }";
        report.add(document, "trigger.call.output", problem.fix(fix));
    }
    if !plan.has_output() {
        let problem = Problem::new("function-output", "a function returns something: the flow has no output");
        report.add(document, "output", problem.fix("add the key output to the flow"));
    }
    for step in plan.steps() {
        if let Some(why) = changes(step, operations) {
            let problem = Problem::new("function-changes", format!("a function only reads and computes, {why}"));
            let fix = "take the step out, or remove function: true from the trigger";
            report.add(document, &format!("steps.{}", step.id), problem.fix(fix));
        }
    }
}

/// Why a step has no place in a function.
fn changes(step: &Step, operations: &dyn Operations) -> Option<String> {
    match &step.work {
        Work::Action(action) if action.effect == Effect::Read => None,
        Work::Action(action) => Some(format!("{} changes something", action.uses)),
        Work::Call(call) if operations.flow(&call.flow).is_some_and(|facts| facts.function) => None,
        Work::Call(call) => Some(format!("flow {} is no function", call.flow)),
        Work::Wait { .. } => Some("this step waits".to_owned()),
        Work::Approve(_) => Some("this step asks a person".to_owned()),
        Work::If { .. } | Work::Switch { .. } | Work::Foreach(_) | Work::Transform { .. } | Work::Stop { .. } => None,
    }
}

/// Reports an output that the trigger's schema refuses for sure.
pub(super) fn check_output(
    plan_output: Option<(&super::values::Made, &Node)>,
    trigger: Option<&Trigger>,
    report: &mut Report<'_>,
) {
    let Some(Trigger::Call { output: Some(schema), .. }) = trigger else { return };
    if let (Some((made, node)), Ok(schema)) = (plan_output, Schema::compile(schema)) {
        super::values::fits(made, &schema, node, "output", report);
    }
}
