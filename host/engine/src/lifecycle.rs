//! A flow's life after it is published: paused, resumed, rolled back, retired.
//!
//! A paused flow takes its events and keeps them; its runs stay open and are not
//! worked on. A person pauses a flow, or the host does when something that the flow
//! uses was taken back, with cause and fix; what the host paused it resumes itself
//! once that is mended. A retired flow takes no events and no calls; its open runs go on.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Environment, FlowId, Problem, RunId};
use store::{Batch, Order};

use crate::catalogue::Known;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::{FlowView, Flows, PAGE, Published};
use crate::queue::FlowLane;
use crate::records::{FLOWS, FlowRecord, OPEN, Paused, RUNS, Revoked, RunRecord};
use crate::run::Run;

/// Who the host is in its own records.
const HOST: &str = "sluice";

impl Engine {
    /// Keeps a flow's events from being run until it is resumed. Runs under way stop
    /// before their next call.
    ///
    /// # Errors
    /// When there is no such flow, or it is retired.
    pub async fn pause_flow(&self, environment: &Environment, id: &FlowId, by: &str) -> Result<FlowView, EngineError> {
        let _one_at_a_time = self.0.administration.lock().await;
        let mut record = self.flow_record(environment, id)?;
        refuse_retired(&record)?;
        record.paused = Some(Paused { at_ms: self.now_ms(), by: by.to_owned(), cause: None });
        self.put_flow(&record).await?;
        self.flow(environment, id)
    }

    /// Runs a paused flow's events, the ones that waited first.
    ///
    /// # Errors
    /// When there is no such flow, it is not paused, or what it uses was taken back.
    pub async fn resume_flow(&self, environment: &Environment, id: &FlowId) -> Result<FlowView, EngineError> {
        let _one_at_a_time = self.0.administration.lock().await;
        let mut record = self.flow_record(environment, id)?;
        if record.paused.is_none() {
            return Err(EngineError::Conflict(
                Problem::new("flow-not-paused", format!("flow {id} is not paused in {environment}"))
                    .fix(format!("look at it: sluice flow show {id} --environment {environment}")),
            ));
        }
        let published = self.published(environment, id)?;
        if let Some(problem) = self.taken_back(&published) {
            return Err(EngineError::Refused(problem));
        }
        record.paused = None;
        self.put_flow(&record).await?;
        self.wake_flow(environment, id)?;
        self.flow(environment, id)
    }

    /// Ends a flow: no new events or calls; its open runs go on to their end. What connectors kept
    /// for it is forgotten after that. Publishing it again brings it back.
    ///
    /// # Errors
    /// When there is no such flow.
    pub async fn retire_flow(&self, environment: &Environment, id: &FlowId, by: &str) -> Result<FlowView, EngineError> {
        let _one_at_a_time = self.0.administration.lock().await;
        let mut record = self.flow_record(environment, id)?;
        refuse_retired(&record)?;
        let was_paused = record.paused.take().is_some();
        record.retired = Some(Revoked { at_ms: self.now_ms(), by: by.to_owned() });
        self.put_flow(&record).await?;
        if was_paused {
            self.wake_flow(environment, id)?;
        }
        // The flow is retired all the same, and the next round of tidying tries again.
        if let Err(error) = self.forget_state().await {
            tracing::warn!(error = &error as &dyn std::error::Error, flow = %id, "what connectors kept is not forgotten yet");
        }
        self.flow(environment, id)
    }

    /// Makes an earlier version the published one, on the plugins that it was
    /// published with. Open runs keep theirs. None as the version: the one before.
    ///
    /// # Errors
    /// When there is no such version, or what it uses was taken back since.
    pub async fn rollback_flow(
        &self,
        environment: &Environment,
        id: &FlowId,
        version: Option<u32>,
    ) -> Result<FlowView, EngineError> {
        let _one_at_a_time = self.0.administration.lock().await;
        let mut record = self.flow_record(environment, id)?;
        let version = version.unwrap_or(record.version.saturating_sub(1));
        if version == record.version {
            return Err(EngineError::Conflict(
                Problem::new("same-version", format!("version {version} of flow {id} is the published one"))
                    .fix(format!("choose another: sluice flow versions {id} --environment {environment}")),
            ));
        }
        let earlier = self.version(environment, id, version)?;
        if let Some(problem) = self.taken_back(&earlier) {
            return Err(EngineError::Refused(problem));
        }
        let problems = self.check_calls(environment, earlier.plan());
        if !problems.is_empty() {
            return Err(EngineError::Invalid(problems));
        }
        record.version = version;
        record.retired = None;
        let resumes = record.paused.take_if(|paused| paused.cause.is_some()).is_some();
        self.put_flow(&record).await?;
        if resumes {
            self.wake_flow(environment, id)?;
        }
        self.flow(environment, id)
    }

    /// What publishing says of the flows that a plan calls, as they are by now.
    fn check_calls(&self, environment: &Environment, plan: &flow::Plan) -> Vec<Problem> {
        let known = Known { catalogue: &self.0.catalogue, flows: &self.0.flows, environment };
        let mut problems = flow::check_calls(plan, &known);
        problems.extend(self.calls_of_retired(environment, plan));
        problems
    }

    /// The calls of a plan that would begin nothing. Beside the check, which goes on to
    /// look through retired flows: they may come back, with what they call.
    pub(crate) fn calls_of_retired(&self, environment: &Environment, plan: &flow::Plan) -> Vec<Problem> {
        let problem = |step: &flow::Step| {
            let call = step.work.as_call()?;
            let problem = self.why_not_called(environment, &call.flow)?;
            Some(problem.field(format!("steps.{}.call", step.id)))
        };
        plan.steps().iter().filter_map(problem).collect()
    }

    /// Why no run of a flow is begun by a call any more; none: it is not retired.
    pub(crate) fn why_not_called(&self, environment: &Environment, id: &FlowId) -> Option<Problem> {
        let record = self.0.flows.record(environment, id)?;
        let retired = record.retired.as_ref()?;
        let what = format!("flow {id} is retired in {environment}: it takes no calls");
        let apply = format!("sluice flow apply FILE --environment {environment}");
        let fix = format!("take out the call; or bring flow {id} back with its document: {apply}");
        Some(Problem::new("flow-retired", what).cause(format!("{} retired it", retired.by)).fix(fix))
    }

    /// Writes a flow's record, then makes it hold. Call with `administration` held.
    async fn put_flow(&self, record: &FlowRecord) -> Result<(), EngineError> {
        let published = self.version(&record.environment, &record.id, record.version)?;
        let mut batch = Batch::new();
        FLOWS.put(&mut batch, &[record.environment.as_str().as_bytes(), record.id.as_str().as_bytes()], record)?;
        self.put_schedule(&mut batch, &record.environment, published.plan())?;
        self.0.store.commit(batch).await?;
        self.0.flows.put(published.clone(), Arc::new(record.clone()));
        self.arm(&published);
        Ok(())
    }

    pub(crate) fn flow_record(&self, environment: &Environment, id: &FlowId) -> Result<FlowRecord, EngineError> {
        // Says what is wrong when there is none.
        self.published(environment, id)?;
        self.0.flows.record(environment, id).map(|record| (*record).clone()).ok_or_else(|| {
            EngineError::NotFound(Problem::new("unknown-flow", format!("there is no flow {id} in {environment}")))
        })
    }

    /// Whether a flow takes no events any more.
    pub(crate) fn is_retired(&self, published: &Published) -> bool {
        let record = self.0.flows.record(&published.environment, published.plan().id());
        record.is_some_and(|record| record.retired.is_some())
    }

    /// The published version, for a new event.
    pub(crate) fn published_for_event(
        &self,
        environment: &Environment,
        id: &FlowId,
    ) -> Result<Arc<Published>, EngineError> {
        let published = self.published(environment, id)?;
        match self.0.flows.record(environment, id) {
            Some(record) if record.retired.is_some() => Err(EngineError::NotFound(
                Problem::new("flow-retired", format!("flow {id} is retired in {environment}: it takes no events"))
                    .fix("publish it again, or stop the sender"),
            )),
            Some(_) | None => Ok(published),
        }
    }

    /// Whether a run's next effect has to wait: its flow is paused, or the host goes down.
    pub(crate) fn is_held(&self, run: &Run) -> bool {
        self.0.queue.is_closed() || self.0.flows.is_paused(&run.flow.lane)
    }

    /// Pauses the flows of an environment that use something taken back, and resumes
    /// those that the host had paused and that are mended. Call with `administration`
    /// held, after the change is live.
    pub(crate) async fn reconsider(&self, environment: &Environment) -> Result<(), EngineError> {
        for published in self.0.flows.all() {
            if published.environment != *environment {
                continue;
            }
            let mut record = self.flow_record(environment, published.plan().id())?;
            let problem = self.taken_back(&published);
            match (&record.paused, problem) {
                (None, Some(problem)) if record.retired.is_none() => {
                    tracing::warn!(flow = %record.id, %environment, problem = problem.what, "the flow is paused");
                    record.paused = Some(Paused { at_ms: self.now_ms(), by: HOST.to_owned(), cause: Some(problem) });
                    self.put_flow(&record).await?;
                }
                (Some(Paused { cause: Some(_), .. }), None) => {
                    tracing::info!(flow = %record.id, %environment, "the flow is mended and resumed");
                    record.paused = None;
                    self.put_flow(&record).await?;
                    self.wake_flow(environment, &record.id)?;
                }
                (None | Some(_), _) => {}
            }
        }
        Ok(())
    }

    /// The same for every environment: once, at start, should the host have stopped
    /// between a decision and its consequences.
    pub(crate) async fn reconsider_all(&self) -> Result<(), EngineError> {
        let _one_at_a_time = self.0.administration.lock().await;
        let environments: BTreeSet<Environment> =
            self.0.flows.all().iter().map(|published| published.environment.clone()).collect();
        for environment in environments {
            self.reconsider(&environment).await?;
        }
        Ok(())
    }

    /// What a flow version uses that was taken back since it was published.
    pub(crate) fn taken_back(&self, published: &Published) -> Option<Problem> {
        let (environment, plan) = (&published.environment, published.plan());
        let revoked = plan.locked().iter().find(|(_, digest)| {
            self.0.catalogue.approval(environment, digest).is_none_or(|record| record.revoked.is_some())
        });
        if let Some((plugin, digest)) = revoked {
            return Some(
                Problem::new(
                    "plugin-revoked",
                    format!("the grant of {plugin} {} in {environment} was taken back", digest.to_short()),
                )
                .cause("an administrator revoked it; the flow's events wait")
                .fix(format!(
                    "approve it again: sluice plugin approve {} --grant FILE --environment {environment}; or publish \
                     the flow with an approved version",
                    digest.to_short()
                )),
            );
        }
        let gone = plan.connections().into_iter().find(|id| self.live_connection(environment, id).is_err())?;
        Some(
            Problem::new("connection-revoked", format!("the connection {gone} in {environment} was taken back"))
                .cause("somebody revoked it; the flow's events wait")
                .fix(format!("add it again: sluice connection add PLUGIN --id {gone} --environment {environment}")),
        )
    }

    /// Puts the open runs of a flow back in line.
    pub(crate) fn wake_flow(&self, environment: &Environment, flow: &FlowId) -> Result<(), EngineError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = OPEN.list(&*self.0.store, &[], after.as_deref(), PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.to_vec());
            for (key, open) in page {
                let Some(id) = open_id(&key) else { continue };
                let record = RUNS.get(&*self.0.store, &[id.as_str().as_bytes()])?;
                let is_of = |record: RunRecord| record.flow == *flow && record.environment == *environment;
                if record.is_some_and(is_of) && self.is_first(&id, open.place.as_ref())? {
                    self.put_in_line(id, open.ready_at_ms);
                }
            }
        }
    }

    /// An open run becomes ready now, or at its time.
    pub(crate) fn put_in_line(&self, id: RunId, ready_at_ms: u64) {
        if ready_at_ms > self.now_ms() {
            self.0.queue.push_timed(ready_at_ms, id);
        } else {
            self.0.queue.push_stored(id);
        }
    }
}

/// The run that an open row belongs to.
pub(crate) fn open_id(key: &[u8]) -> Option<RunId> {
    let id = OPEN.parts(key)?.into_iter().next()?;
    String::from_utf8(id).ok()?.parse().ok()
}

fn refuse_retired(record: &FlowRecord) -> Result<(), EngineError> {
    match &record.retired {
        None => Ok(()),
        Some(retired) => Err(EngineError::Conflict(
            Problem::new("flow-retired", format!("flow {} was retired by {}", record.id, retired.by))
                .cause("it takes no events, and its open runs go on to their end")
                .fix(format!(
                    "leave it so; or bring it back with its document: sluice flow apply FILE --environment {}",
                    record.environment
                )),
        )),
    }
}

impl Flows {
    /// Whether the flow of this lane keeps its events.
    pub(crate) fn is_paused(&self, lane: &FlowLane) -> bool {
        self.record(&lane.environment, &lane.flow).is_some_and(|record| record.paused.is_some())
    }
}
