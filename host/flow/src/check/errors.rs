//! What failures do: `on_error` of a step, and that of the flow.

use model::{Problem, StepId};

use super::names::{Output, Presence, error_shape};
use super::read::Fields;
use super::report::wrong;
use super::steps::{Block, Read, Slot, Steps};
use super::tree::{Content, Node};
use crate::plan::OnError;

impl Steps<'_, '_> {
    /// `fail`, `continue`, or an object with steps, which are read afterwards.
    pub(super) fn on_error(&mut self, fields: &Fields<'_>) -> OnError {
        match fields.get("on_error") {
            Some(Node { content: Content::Object(_), .. }) => OnError::Branch(None),
            Some(node) if !matches!(node.content, Content::Text(_)) => {
                let expected = "fail, continue, or { steps: [...] }";
                self.report.add(node, &fields.field("on_error"), wrong("on_error", expected, node));
                OnError::Fail
            }
            Some(_) | None => {
                let choices = [("fail", OnError::Fail), ("continue", OnError::Continue)];
                fields.choice("on_error", &choices, self.report).unwrap_or_default()
            }
        }
    }

    /// Reads the steps of `on_error`, which see the step's failure. Returns whether
    /// the flow goes on behind the step when it has failed.
    pub(super) fn error_steps(
        &mut self,
        fields: &Fields<'_>,
        id: Option<&StepId>,
        depth: usize,
        read: &mut Read,
    ) -> bool {
        let node = fields.get("on_error").filter(|node| matches!(node.content, Content::Object(_)));
        let Some(inner) = node.and_then(|node| Fields::of(node, &fields.field("on_error"), self.report)) else {
            return true;
        };
        inner.only(&["steps"], self.report);
        let Some(steps) = inner.required("steps", "a list of steps", self.report) else { return true };
        let first = self.names.steps.len();
        let id = id.map(StepId::to_string).unwrap_or_default();
        let shape = Some(error_shape());
        self.names.steps.push(Output { id, shape, presence: Presence::Sure, may_fail: false });
        let block = self.block(steps, &inner.field("steps"), depth + 1);
        self.names.steps.remove(first);
        self.downgrade(first, "it is executed only when another step has failed");
        let goes_on = !block.stops;
        read.inner.push((Slot::Error, block));
        goes_on
    }

    /// The flow's own `on_error`: a list of steps that see `error`, and of what the
    /// other steps left behind what there is.
    pub(super) fn flow_error(&mut self, node: &Node) -> Block {
        self.downgrade(0, "the run may have failed before it");
        for output in &mut self.names.steps {
            if output.presence == Presence::Elsewhere {
                output.presence = Presence::Maybe("the run may have gone another way".to_owned());
            }
        }
        self.failing = true;
        self.names.failing = true;
        let block = self.block(node, "on_error", 0);
        self.failing = false;
        self.names.failing = false;
        block
    }

    /// Reports a failure's steps where none can be.
    pub(super) fn needless(&mut self, fields: &Fields<'_>, name: &str, why: &str) {
        if let Some(node) = fields.get(name) {
            let problem = Problem::new("needless-key", format!("{name} has no use here: {why}"));
            self.report.add(node, &fields.field(name), problem.fix(format!("remove the key {name}")));
        }
    }
}
