//! What a test expects: steps and fields that exist, words that mean something.

use model::{Extent, Problem, Schema};

use super::super::read::Fields;
use super::super::report::{list, suggest, wrong};
use super::super::shape::Shape;
use super::super::tree::{Content, Node};
use super::super::values;
use super::{Reading, members};
use crate::plan::{OnError, Outcome, Step, Work};
use crate::testing::{Expect, ExpectEffect, ExpectStep, Wanted};
use crate::view::StepOutcome;

/// What becomes of steps in runs that have ended.
const OUTCOMES: [StepOutcome; 6] = [
    StepOutcome::Succeeded,
    StepOutcome::Failed,
    StepOutcome::Continued,
    StepOutcome::Skipped,
    StepOutcome::NotReached,
    StepOutcome::Cancelled,
];
/// As many as a loop has items.
const TIMES_MAX: u64 = crate::document::ITEMS_MAX as u64;

impl Reading<'_, '_> {
    pub(super) fn expect(&mut self, fields: &Fields<'_>) -> Expect {
        let mut expect = Expect {
            outcome: Outcome::Succeeded,
            output: None,
            failure: None,
            step: None,
            reason: None,
            effects: None,
            steps: Vec::new(),
        };
        let path = fields.field("expect");
        let Some(inner) = fields.get("expect").and_then(|node| Fields::of(node, &path, self.report)) else {
            return expect;
        };
        inner.only(&["outcome", "output", "output_has", "failure", "step", "reason", "effects", "steps"], self.report);
        expect.failure = inner.text("failure", self.report);
        let choices = [("succeeded", Outcome::Succeeded), ("failed", Outcome::Failed)];
        let usual = if expect.failure.is_some() { Outcome::Failed } else { Outcome::Succeeded };
        expect.outcome = inner.choice("outcome", &choices, self.report).unwrap_or(usual);
        expect.output = self.wanted(&inner, "output", "output_has");
        expect.step = inner.get("step").and_then(|node| {
            let text = inner.text("step", self.report)?;
            self.spot(&text, node, &inner.field("step")).map(|(spot, _)| spot)
        });
        expect.reason = inner.text("reason", self.report);
        expect.effects = inner.get("effects").map(|node| self.effects(node, &inner.field("effects")));
        if let Some(node) = inner.get("steps") {
            let path = inner.field("steps");
            let _ = Fields::of(node, &path, self.report);
            for (key, node) in members(node) {
                let field = format!("{path}.{key}");
                let Some((spot, index)) = self.spot(key, node, &field) else { continue };
                let step = &self.plan.steps()[index];
                expect.steps.extend(self.expect_step(step, node, &field).map(|wanted| (spot, wanted)));
            }
        }
        expect
    }

    /// A value, whole or in part.
    fn wanted(&mut self, fields: &Fields<'_>, whole: &str, part: &str) -> Option<Wanted> {
        match (fields.get_any(whole), fields.get_any(part)) {
            (Some(node), None) => Some(Wanted { value: node.to_json(), extent: Extent::Whole }),
            (None, Some(node)) => Some(Wanted { value: node.to_json(), extent: Extent::Part }),
            (None, None) => None,
            (Some(_), Some(node)) => {
                let problem = Problem::new("needless-key", format!("there is {whole} or {part}, here are both"));
                self.report.add(node, &fields.field(part), problem.fix("remove one of them"));
                None
            }
        }
    }

    fn effects(&mut self, node: &Node, path: &str) -> Vec<ExpectEffect> {
        let Content::List(items) = &node.content else {
            self.report.add(node, path, wrong("effects", "a list of steps that ask the outside", node));
            return Vec::new();
        };
        let effect = |(at, item): (usize, &Node)| self.effect(item, &format!("{path}[{at}]"));
        items.iter().enumerate().filter_map(effect).collect()
    }

    /// A step by its name, or with what it asks.
    fn effect(&mut self, node: &Node, path: &str) -> Option<ExpectEffect> {
        if let Content::Text(name) = &node.content {
            let step = self.asking(name, node, path)?.id.clone();
            return Some(ExpectEffect { step, input: None, times: 1 });
        }
        let fields = Fields::of(node, path, self.report)?;
        fields.only(&["step", "input", "has", "times"], self.report);
        fields.required("step", "the step that asks", self.report);
        let name = fields.text("step", self.report)?;
        let field = fields.field("step");
        let step = self.asking(&name, fields.get("step")?, &field)?;
        let input = self.wanted(&fields, "input", "has");
        let times = match fields.get("times") {
            None => 1,
            Some(node) => {
                let found = node.to_json().as_u64().filter(|times| (1..=TIMES_MAX).contains(times));
                if found.is_none() {
                    let expected = format!("a number from 1 to {TIMES_MAX}");
                    self.report.add(node, &fields.field("times"), wrong("times", &expected, node));
                }
                found.and_then(|times| usize::try_from(times).ok()).unwrap_or(1)
            }
        };
        self.fits_input(&step, &fields, input.as_ref());
        Some(ExpectEffect { step: step.id.clone(), input, times })
    }

    /// A step that asks the outside for something.
    fn asking(&mut self, name: &str, node: &Node, field: &str) -> Option<Step> {
        let (spot, index) = self.spot(name, node, field)?;
        if !spot.iteration.is_empty() {
            let problem = Problem::new("bad-item", "effects of a loop's items are listed one after the other");
            self.report.add(node, field, problem.fix(format!("write {} once for each item", spot.step)));
            return None;
        }
        let step = self.plan.steps()[index].clone();
        match &step.work {
            Work::Action(_) | Work::Call(_) | Work::Wait { .. } | Work::Approve(_) => Some(step),
            Work::If { .. } | Work::Switch { .. } | Work::Foreach(_) | Work::Transform { .. } | Work::Stop { .. } => {
                let problem = Problem::new("no-effect", format!("step {name} asks nothing of the outside"));
                let known = self.plan.steps().iter().filter(|step| {
                    matches!(step.work, Work::Action(_) | Work::Call(_) | Work::Wait { .. } | Work::Approve(_))
                });
                let names = list(known.map(|step| step.id.as_str()));
                self.report.add(node, field, problem.fix(format!("name one that does: {names}")));
                None
            }
        }
    }

    /// Whether the step could ever ask this.
    fn fits_input(&mut self, step: &Step, fields: &Fields<'_>, wanted: Option<&Wanted>) {
        let Some(wanted) = wanted else { return };
        let schema = match &step.work {
            Work::Action(action) => self
                .operations
                .manifest(&action.uses.plugin)
                .and_then(|manifest| manifest.action(&action.uses.operation).map(|declared| declared.input.clone())),
            Work::Call(call) => self.operations.flow(&call.flow).and_then(|facts| facts.input),
            _ => None,
        };
        let Some(schema) = schema else { return };
        let name = if wanted.extent == Extent::Whole { "input" } else { "has" };
        let (Some(node), field) = (fields.get_any(name), fields.field(name)) else { return };
        match wanted.extent {
            Extent::Part => values::knows_fields(&wanted.value, &Shape(schema), node, &field, self.report),
            Extent::Whole => {
                if let Ok(schema) = Schema::compile(&schema) {
                    values::fits_constant(&wanted.value, &schema, node, &field, self.report);
                }
            }
        }
    }

    /// An outcome in a word, or an object.
    fn expect_step(&mut self, step: &Step, node: &Node, field: &str) -> Option<ExpectStep> {
        if let Content::Text(word) = &node.content {
            let outcome = OUTCOMES.into_iter().find(|outcome| outcome.as_str() == word);
            if outcome.is_none() {
                let words = OUTCOMES.iter().map(|outcome| outcome.as_str());
                let problem = wrong("a step", &words.clone().collect::<Vec<_>>().join(", "), node);
                self.report.add(node, field, suggest(problem, word, words));
            }
            return outcome.map(|outcome| ExpectStep { outcome: Some(outcome), ..ExpectStep::default() });
        }
        let fields = Fields::of(node, field, self.report)?;
        fields.only(&["outcome", "taken", "attempts", "output", "output_has"], self.report);
        let choices = OUTCOMES.map(|outcome| (outcome.as_str(), outcome));
        let outcome = fields.choice("outcome", &choices, self.report);
        let taken = fields.text("taken", self.report).filter(|taken| self.can_take(step, taken, &fields));
        let attempts = fields.get("attempts").and_then(|node| {
            let found = node.to_json().as_u64().and_then(|count| u32::try_from(count).ok());
            if found.is_none() {
                self.report.add(node, &fields.field("attempts"), wrong("attempts", "a number", node));
            }
            found
        });
        let output = self.wanted(&fields, "output", "output_has");
        if let (Work::Action(action), Some(wanted)) = (&step.work, &output)
            && let Some(declared) = self.operations.manifest(&action.uses.plugin)
            && let Some(declared) = declared.action(&action.uses.operation)
        {
            let name = if wanted.extent == Extent::Whole { "output" } else { "output_has" };
            let node = fields.get_any(name).unwrap_or(node);
            values::knows_fields(
                &wanted.value,
                &Shape(declared.output.clone()),
                node,
                &fields.field(name),
                self.report,
            );
        }
        Some(ExpectStep { outcome, taken, attempts, output })
    }

    /// Whether a step can go this way.
    fn can_take(&mut self, step: &Step, taken: &str, fields: &Fields<'_>) -> bool {
        let mut ways: Vec<String> = match &step.work {
            Work::If { .. } => vec!["then".to_owned(), "else".to_owned()],
            Work::Switch { cases, .. } => {
                (1..=cases.len()).map(|number| format!("case {number}")).chain(["default".to_owned()]).collect()
            }
            _ => Vec::new(),
        };
        if matches!(step.work.on_error(), OnError::Branch(_)) {
            ways.push("on_error".to_owned());
        }
        if ways.iter().any(|way| way == taken) {
            return true;
        }
        let problem = Problem::new("unknown-way", format!("step {} cannot go the way {taken:?}", step.id));
        let node = fields.get("taken").unwrap_or(fields.node);
        self.report.add(node, &fields.field("taken"), suggest(problem, taken, ways.iter().map(String::as_str)));
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_final_outcome_can_be_expected() {
        let open = [StepOutcome::Calling, StepOutcome::Looping, StepOutcome::Waiting];
        for outcome in open {
            assert!(!OUTCOMES.contains(&outcome), "{outcome}");
        }
        let words: Vec<Value> = OUTCOMES.iter().map(|outcome| serde_json::to_value(outcome).expect("a word")).collect();
        let shown: Vec<Value> = OUTCOMES.iter().map(|outcome| outcome.as_str().into()).collect();
        assert_eq!(words, shown, "documents and records say the same");
    }
}
