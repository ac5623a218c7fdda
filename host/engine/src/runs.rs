//! Looking at runs, and asking for them once more.

use std::sync::Arc;

use flow::{Entry, StepView};
use model::{Environment, FlowId, Problem, RunId};
use serde_json::Value;
use store::{Batch, Order};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{
    BODIES, CallRecord, DEAD, DELIVERIES, DeadLetter, Line, OPEN, Origin, RUNS, RUNS_OF_FLOW, RunRecord, RunStatus,
};
use crate::redact::redact;
use crate::run::{RawDelivery, Run};

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
    /// The event, redacted; none while the connector has not read the delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Value>,
    /// What happened, step by step, redacted.
    pub steps: Vec<StepView>,
    /// Every call of a connector, with each access and the rule that decided.
    pub calls: Vec<CallRecord>,
    /// The flow's output, redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it gave up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
}

/// Which version a replay takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplayVersion {
    /// The one the run had.
    #[default]
    Original,
    /// The published one.
    Newest,
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

    fn living_runs(
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
            found.extend(page.into_iter().filter(|record| status.is_none_or(|status| record.status == status)));
        }
        Ok(found)
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
        let record = self.run_record(id)?;
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
        Ok(RunView {
            flow_name: flow.plan().name().to_owned(),
            waiting_until_ms: open.map(|open| open.ready_at_ms).filter(|at_ms| *at_ms > self.now_ms()),
            trigger,
            steps,
            calls: lines.into_iter().filter_map(|line: Line| line.call).collect(),
            output,
            dead_letter: DEAD.get(store, &parts)?,
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

    /// Dead letters, newest first, before `before` (exclusive).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn dead_letters(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<DeadLetter>, EngineError> {
        let after = before.map(|id| DEAD.key(&[id.as_str().as_bytes()]));
        let page = DEAD.list(&*self.0.store, &[], after.as_deref(), limit, Order::Descending)?;
        Ok(page.into_iter().map(|(_, letter)| letter).collect())
    }

    /// Runs the event of an ended run once more, from the start. Effects get new
    /// idempotency keys: what took effect then may take effect again.
    ///
    /// # Errors
    /// When there is no such run, or it has not ended.
    pub async fn replay(&self, id: &RunId, version: ReplayVersion, by: &str) -> Result<RunId, EngineError> {
        self.check_open()?;
        let record = self.run_record(id)?;
        if !record.status.is_final() {
            return Err(EngineError::Conflict(
                Problem::new("run-open", format!("run {id} has not ended"))
                    .fix(format!("wait for its end: sluice run show {id}")),
            ));
        }
        let parts: [&[u8]; 1] = [id.as_str().as_bytes()];
        let letter = DEAD.get(&*self.0.store, &parts)?;
        if let Some(again) = letter.as_ref().and_then(|letter| letter.replayed_as.as_ref()) {
            return Err(EngineError::Conflict(
                Problem::new("replayed", format!("run {id} was replayed already, as {again}"))
                    .fix(format!("look at it: sluice run show {again}; if it failed too, replay that one")),
            ));
        }
        let flow = match version {
            ReplayVersion::Original => self.version(&record.environment, &record.flow, record.version)?,
            ReplayVersion::Newest => self.published(&record.environment, &record.flow)?,
        };
        self.check_room(&flow)?;
        let origin = Origin::Replay { of: id.clone(), by: by.to_owned() };
        let mut run = self.new_run(&flow, origin, RunStatus::Running);
        let mut batch = Batch::new();
        match self.event_of(id)? {
            Some(event) => {
                run.put_accepted(&mut batch)?;
                let started = Entry::Started { trigger: event, run: run.facts() };
                run.put_line(&mut batch, self.now_ms(), vec![started], None)?;
            }
            None => {
                run.record.status = RunStatus::Received;
                run.delivery = Some(self.raw_of(id)?);
                run.put_accepted(&mut batch)?;
            }
        }
        if let Some(mut letter) = letter {
            letter.replayed_as = Some(run.id().clone());
            DEAD.put(&mut batch, &parts, &letter)?;
        }
        self.push_committed(run, batch).await
    }

    async fn push_committed(&self, run: Run, batch: Batch) -> Result<RunId, EngineError> {
        let (new, bytes) = (run.id().clone(), batch.bytes());
        self.0.store.commit(batch).await?;
        self.0.queue.push(run, bytes);
        Ok(new)
    }

    fn event_of(&self, id: &RunId) -> Result<Option<Arc<Value>>, EngineError> {
        let lines = self.lines(id)?;
        let entries: Vec<&Entry> = lines.iter().flat_map(|line| &line.entries).collect();
        Ok(flow::State::replay(entries).trigger().cloned())
    }

    fn raw_of(&self, id: &RunId) -> Result<RawDelivery, EngineError> {
        let parts: [&[u8]; 1] = [id.as_str().as_bytes()];
        let gone = || {
            EngineError::Conflict(Problem::new(
                "delivery-gone",
                format!("run {id} held nothing for its flow, so there is nothing to replay"),
            ))
        };
        if let Some(record) = DELIVERIES.get(&*self.0.store, &parts)? {
            let body = self.0.store.get(&BODIES.key(&parts))?.unwrap_or_default();
            return Ok(RawDelivery { record, body });
        }
        let (key, value) = self.past_rows(id, &DELIVERIES.key(&parts))?.into_iter().next().ok_or_else(gone)?;
        let record = DELIVERIES.parse(&key, &value)?;
        let body =
            self.past_rows(id, &BODIES.key(&parts))?.into_iter().next().map(|(_, body)| body).unwrap_or_default();
        Ok(RawDelivery { record, body })
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
            flow::Trigger::Schedule(_) => event.clone(),
            flow::Trigger::Webhook { event: schema, .. } | flow::Trigger::Manual { input: schema } => {
                redact(schema.as_ref(), event)
            }
        }
    }
}
