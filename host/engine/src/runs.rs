//! Looking at runs: one by one with everything about them, or as a list.

use std::sync::Arc;

use flow::{Entry, StepView};
use model::{Environment, FlowId, Problem, RunId};
use serde_json::Value;
use store::Order;

use crate::duplicates::Duplicates;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{CallRecord, Child, DeadLetter, Line, OPEN, RUNS, RUNS_OF_FLOW, RunRecord, RunStatus};
use crate::redact::redact;
use crate::waits::{Looked, Retries, WaitView};

/// A run, as people look at it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RunView {
    /// Its facts.
    #[serde(flatten)]
    pub record: RunRecord,
    /// The name of its flow.
    pub flow_name: String,
    /// When it goes on, if it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_until_ms: Option<u64>,
    /// Repetitions of its delivery that were refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<Duplicates>,
    /// Attempts that failed and were made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// What it waits for, and who must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitView>,
    /// The event, redacted; none while the connector has not read the delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Value>,
    /// What happened, step by step, redacted.
    pub steps: Vec<StepView>,
    /// Every call of a connector, with each access and the rule that decided.
    pub calls: Vec<CallRecord>,
    /// Why it ended, as a `stop` or a person said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The flow's output, redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The runs that its steps began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Child>,
    /// Why it gave up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
}

impl Engine {
    /// Runs, newest first, of one flow or of all; before `before` (exclusive).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn runs(
        &self,
        of: Option<(&Environment, &FlowId)>,
        status: Option<RunStatus>,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, EngineError> {
        let mut found = self.living_runs(of, status, before, limit)?;
        if status.is_none_or(RunStatus::is_final) {
            found.extend(self.past_runs(of, status, before, limit)?);
        }
        // The living come first: of a run that ends meanwhile, one is enough.
        found.sort_by(|left, right| right.id.cmp(&left.id));
        found.dedup_by(|next, kept| next.id == kept.id);
        found.truncate(limit);
        Ok(found)
    }

    /// Runs that are not history yet, newest first.
    pub(crate) fn living_runs(
        &self,
        of: Option<(&Environment, &FlowId)>,
        status: Option<RunStatus>,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, EngineError> {
        let mut found = Vec::new();
        let mut before = before.cloned();
        while found.len() < limit {
            let page = self.run_page(of, before.as_ref(), limit)?;
            let Some(last) = page.last() else { break };
            before = Some(last.id.clone());
            for record in page {
                let record = self.as_shown(record)?;
                found.extend(Some(record).filter(|record| status.is_none_or(|status| record.status == status)));
            }
        }
        Ok(found)
    }

    /// A run that has its place in line and not its turn is waiting: its row does not
    /// say so, since nothing is written when others come first.
    fn as_shown(&self, mut record: RunRecord) -> Result<RunRecord, EngineError> {
        if record.status == RunStatus::Running && self.comes_before(&record)?.is_some() {
            record.status = RunStatus::Waiting;
        }
        Ok(record)
    }

    fn run_page(
        &self,
        of: Option<(&Environment, &FlowId)>,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, EngineError> {
        let store = &*self.0.store;
        let Some((environment, flow)) = of else {
            let after = before.map(|id| RUNS.key(&[id.as_str().as_bytes()]));
            let page = RUNS.list(store, &[], after.as_deref(), limit, Order::Descending)?;
            return Ok(page.into_iter().map(|(_, record)| record).collect());
        };
        let parts: [&[u8]; 2] = [environment.as_str().as_bytes(), flow.as_str().as_bytes()];
        let after = before.map(|id| RUNS_OF_FLOW.key(&[parts[0], parts[1], id.as_str().as_bytes()]));
        let names = store.scan(&RUNS_OF_FLOW.key(&parts), after.as_deref(), limit, Order::Descending)?;
        let mut page = Vec::with_capacity(names.len());
        for (key, _) in names {
            let id = RUNS_OF_FLOW.parts(&key).and_then(|parts| parts.into_iter().nth(2)).unwrap_or_default();
            page.extend(RUNS.get(store, &[&id])?);
        }
        Ok(page)
    }

    /// Everything about one run.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn show_run(&self, id: &RunId) -> Result<RunView, EngineError> {
        let record = self.as_shown(self.run_record(id)?)?;
        let parts: [&[u8]; 1] = [id.as_str().as_bytes()];
        let store = &*self.0.store;
        let flow = self.version(&record.environment, &record.flow, record.version)?;
        let lines = self.lines(id)?;
        let entries: Vec<Entry> = lines.iter().flat_map(|line| line.entries.iter().cloned()).collect();
        let state = flow::State::replay(&entries);
        let mut steps = flow::steps_view(flow.plan(), &entries);
        steps.iter_mut().for_each(|step| self.redact_step(flow.plan(), step));
        let trigger = state.trigger().map(|event| self.redact_event(flow.plan(), event));
        let output =
            state.ending().filter(|ending| !ending.output.is_null()).map(|ending| redact(None, &ending.output));
        let open = OPEN.get(store, &parts)?;
        let (children, letter) = (self.children(id)?, self.find_letter(id)?);
        let waits = self.waits_of(&Looked {
            record: &record,
            flow: &flow,
            entries: &entries,
            state: &state,
            open: open.as_ref(),
            children: &children,
            letter: letter.as_ref(),
        })?;
        Ok(RunView {
            flow_name: flow.plan().name().to_owned(),
            waiting_until_ms: open.map(|open| open.ready_at_ms).filter(|at_ms| *at_ms > self.now_ms()),
            trigger,
            steps,
            calls: lines.into_iter().filter_map(|line: Line| line.call).collect(),
            reason: state.ending().and_then(|ending| ending.reason.clone()),
            output,
            duplicates: self.duplicates_of(&record)?,
            retries: Retries::of(&entries),
            waits,
            children,
            dead_letter: letter,
            record,
        })
    }

    /// The facts of one run.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn run_record(&self, id: &RunId) -> Result<RunRecord, EngineError> {
        let parts: [&[u8]; 1] = [id.as_str().as_bytes()];
        if let Some(record) = RUNS.get(&*self.0.store, &parts)? {
            return Ok(record);
        }
        let past = self.past_rows(id, &RUNS.key(&parts))?;
        let record = past.first().map(|(key, value)| RUNS.parse(key, value)).transpose()?;
        record.ok_or_else(|| {
            EngineError::NotFound(
                Problem::new("unknown-run", format!("there is no run {id}")).fix("list them: sluice run list"),
            )
        })
    }

    fn redact_step(&self, plan: &flow::Plan, step: &mut StepView) {
        let items = step.items.iter_mut().flat_map(|items| &mut items.shown);
        items.flat_map(|item| &mut item.steps).for_each(|step| self.redact_step(plan, step));
        let action = plan.find(&step.step).and_then(|step| step.work.as_action()).map(|action| &action.uses);
        let installed = action.and_then(|uses| self.0.catalogue.plugin(plan.locked().get(&uses.plugin)?));
        let schemas = action.zip(installed).and_then(|(uses, installed)| {
            let action = installed.manifest().action(&uses.operation)?;
            Some((action.input.clone(), action.output.clone()))
        });
        let (input, output) = schemas.unzip();
        step.input = step.input.take().map(|value| Arc::new(redact(input.as_ref(), &value)));
        step.output = step.output.take().map(|value| Arc::new(redact(output.as_ref(), &value)));
    }

    fn redact_event(&self, plan: &flow::Plan, event: &Value) -> Value {
        match plan.trigger() {
            flow::Trigger::Connector { event: schema, .. } => redact(Some(schema), event),
            flow::Trigger::Poll(poll) => redact(Some(&poll.event), event),
            flow::Trigger::Schedule(_) => event.clone(),
            flow::Trigger::Webhook { event: schema, .. }
            | flow::Trigger::Manual { input: schema }
            | flow::Trigger::Call { input: schema, .. } => redact(schema.as_ref(), event),
        }
    }
}
