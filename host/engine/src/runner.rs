//! Running: asks the machine what is next, performs it, keeps what came of it.
//!
//! Every transition is one atomic batch. An effect that changes something outside
//! begins only once its intent is durable. A run found open after a crash goes on
//! from its entries; nothing is evaluated again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use flow::{After, Call, Effect, Entry, Event, Spot};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use model::{AccessRecord, Failure, Problem, Remedy, RunId};
use sandbox::{Answer, Report};
use serde_json::Value;
use store::{Batch, CommitError, Order};
use tracing::Instrument as _;

use crate::accept::RunResult;
use crate::backoff::LATE_MS_MAX;
use crate::call::{CallFor, CallTarget, not_made};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::lifecycle::open_id;
use crate::queue::{Job, Turn};
use crate::reauthorise::{Refused, refused_in};
use crate::records::{BODIES, CallRecord, DELIVERIES, LINES, Line, OPEN, RUNS, RunStatus, Timer};
use crate::run::{RawDelivery, Run, why};

/// While the disk is full, a result that cannot be kept is offered again this often.
const KEEP_AGAIN_MS: u64 = 500;

/// Lines of a run that are read at once. 50: an output has 4 MiB at most, and most have
/// some hundred bytes.
const LINES_PAGE: usize = 50;

/// A call during which the host stopped this often may be what stops it.
const INTERRUPTED_MAX: u32 = 30;

/// What a step of the machine leads to: calls to be made, or the end.
#[derive(Default)]
pub(crate) struct Stepped {
    calls: Vec<Call>,
    /// Runs that were begun.
    pub(crate) children: Vec<Run>,
    /// Runs that have a message.
    wake: Vec<RunId>,
    /// Connections that this run waits for.
    refused: Vec<Refused>,
    /// This run has one itself.
    answered: bool,
    /// Calls were left for later, since the flow was paused or the host went down.
    withheld: bool,
    pub(crate) ended: bool,
}

impl Stepped {
    pub(crate) fn add(&mut self, next: Self) {
        self.calls.extend(next.calls);
        self.children.extend(next.children);
        self.wake.extend(next.wake);
        self.refused.extend(next.refused);
        self.answered |= next.answered;
        self.withheld |= next.withheld;
        self.ended |= next.ended;
    }
}

impl Engine {
    /// Hands jobs to workers until the queue is closed.
    pub(crate) async fn dispatch(self) {
        while self.0.queue.offers().await {
            let Some(place) = self.0.workers.place().await else { return };
            let Some((job, turn)) = self.0.queue.take() else { continue };
            let engine = self.clone();
            tokio::spawn(async move {
                engine.work(job, &turn).await;
                drop((turn, place));
            });
        }
    }

    /// Goes on with a run; one of a paused flow is left until it is resumed.
    async fn work(&self, job: Job, turn: &Turn) {
        if self.0.flows.is_paused(turn.flow()) {
            return;
        }
        match job {
            Job::Hot(run) => drop(self.go_on(*run, None).await),
            Job::Stored(id) => match self.load_run(&id) {
                Ok(Some(run)) => drop(self.go_on(run, None).await),
                Ok(None) => {}
                Err(error) => drop(self.fault(&id, error).await),
            },
        }
    }

    /// Drives a run until it ends or parks.
    pub(crate) async fn go_on(&self, run: Run, begun: Option<Stepped>) -> Option<RunResult> {
        let id = run.id().clone();
        let span =
            tracing::info_span!("run", run = %id, flow = %run.record.flow, environment = %run.record.environment);
        async {
            let driven = match AssertUnwindSafe(self.drive(run, begun)).catch_unwind().await {
                Ok(Err(EngineError::Invalid(problems))) => self.give_up(&id, problems).await,
                Ok(driven) => driven,
                Err(_) => Err(EngineError::internal("the host panicked in this run")),
            };
            match driven {
                Ok(result) => result,
                Err(error) => self.fault(&id, error).await,
            }
        }
        .instrument(span)
        .await
    }

    async fn drive(&self, mut run: Run, begun: Option<Stepped>) -> Result<Option<RunResult>, EngineError> {
        let begun = match begun {
            Some(begun) => Some(begun),
            None => self.begin(&mut run).await?,
        };
        let Some(mut stepped) = begun else {
            return Ok(run.record.status.is_final().then(|| result(&run, None)));
        };
        let mut calls = FuturesUnordered::new();
        loop {
            self.tell_others(&run, &mut stepped).await?;
            if stepped.ended {
                break;
            }
            if std::mem::take(&mut stepped.answered) || self.0.queue.take_wake(run.id()) {
                self.take_messages(&mut run, &mut stepped).await?;
                continue;
            }
            for call in std::mem::take(&mut stepped.calls) {
                calls.push(self.perform(run.flow.clone(), run.id().clone(), call));
            }
            let held = self.is_held(&run);
            let due = run.due(self.now_ms()).filter(|_| !held);
            let (event, record) = match due {
                Some(spot) => (Event::Due { step: spot.step, iteration: spot.iteration }, None),
                None => match calls.next().await {
                    Some((event, record)) => (event, Some(record)),
                    None => {
                        self.park(&run);
                        // The pause may have ended while what came before was being kept:
                        // then whoever ended it found nothing that waited.
                        if stepped.withheld && !self.is_held(&run) {
                            self.0.queue.push_stored(run.id().clone());
                        }
                        return Ok(None);
                    }
                },
            };
            // Whoever was told that it is heard was first: an end that somebody asked for
            // comes before another call, an event before the time was up.
            if self.0.queue.take_wake(run.id()) {
                self.take_messages(&mut run, &mut stepped).await?;
                if stepped.ended {
                    continue;
                }
            }
            let mut batch = Batch::new();
            // Asked again: the call may have taken long.
            let held = self.is_held(&run);
            let mut next = self.put_step(&mut run, &mut batch, event, record, held)?;
            self.keep(batch, &mut next.children).await?;
            stepped.add(next);
        }
        self.over(&run).await;
        let ending = run.state.ending().cloned();
        tracing::info!(status = run.record.status.as_str(), "run ended");
        Ok(Some(result(&run, ending)))
    }

    /// Comes to where the run can go on. None: it is over, or parked, or others of its
    /// line come first.
    async fn begin(&self, run: &mut Run) -> Result<Option<Stepped>, EngineError> {
        if !self.is_first(run.id(), run.open.place.as_ref())? {
            return self.wait_in_line(run).await;
        }
        if run.record.status == RunStatus::Received {
            match self.receive(run).await? {
                // What was sent to it before it had an event is heard next.
                Some(stepped) if !run.is_sequential() => return Ok(Some(Stepped { answered: true, ..stepped })),
                Some(_) if run.record.status.is_final() => return Ok(None),
                Some(_) if self.is_first(run.id(), run.open.place.as_ref())? => {}
                Some(_) | None => return Ok(None),
            }
        }
        let mut stepped = self.resume(run).await?;
        self.take_messages(run, &mut stepped).await?;
        Ok(Some(stepped))
    }

    /// A run that waits for its turn can be cancelled.
    async fn wait_in_line(&self, run: &mut Run) -> Result<Option<Stepped>, EngineError> {
        let mut stepped = Stepped::default();
        if run.record.status != RunStatus::Received {
            self.take_messages(run, &mut stepped).await?;
        }
        Ok(stepped.ended.then_some(stepped))
    }

    /// A run has ended: nothing waits for it any more.
    pub(crate) async fn over(&self, run: &Run) {
        self.0.queue.forget(run.id());
        self.0.pace.forget(run.id());
        self.call_next(run.open.place.as_ref()).await;
    }

    /// What was made durable for other runs sets them going.
    async fn tell_others(&self, run: &Run, stepped: &mut Stepped) -> Result<(), EngineError> {
        for child in stepped.children.drain(..) {
            self.0.queue.push_stored(child.id().clone());
        }
        for run in std::mem::take(&mut stepped.wake) {
            self.wake(&run).await;
        }
        self.note_refused(run, std::mem::take(&mut stepped.refused)).await
    }

    /// Nothing is under way: the run comes back when its next time has come. Without
    /// one the host is going down or the flow is paused, and it is woken after that.
    fn park(&self, run: &Run) {
        if let Some(at_ms) = run.first_timer_ms() {
            self.0.queue.push_timed(at_ms, run.id().clone());
        }
    }

    /// Takes an event to the machine and writes what follows, in one batch.
    /// Draining, an effect whose intent would follow is left for the next start.
    pub(crate) fn put_step(
        &self,
        run: &mut Run,
        batch: &mut Batch,
        event: Event,
        call: Option<CallRecord>,
        draining: bool,
    ) -> Result<Stepped, EngineError> {
        let flow = run.flow.clone();
        let mut over = Vec::new();
        if let Event::Due { step, iteration } | Event::Answered { step, iteration, .. } = &event {
            over.push(Spot { step: step.clone(), iteration: iteration.clone() });
        }
        let mut transition = flow::step(flow.plan(), &run.state, event);
        let withheld = draining && transition.effects.iter().any(|effect| matches!(effect, Effect::Call(_)));
        if draining {
            transition.entries.retain(|entry| !matches!(entry, Entry::Intended { .. } | Entry::Resumed { .. }));
            transition.effects.retain(|effect| !matches!(effect, Effect::Call(_)));
        }
        let now_ms = self.now_ms();
        let refused = refused_in(&transition.entries, call.as_ref().and_then(|call| call.refused));
        run.put_line(batch, now_ms, transition.entries, call)?;
        let mut stepped = Stepped { withheld, ..Stepped::default() };
        let mut timers = Vec::new();
        for effect in transition.effects {
            match effect {
                Effect::Call(call) => stepped.calls.push(*call),
                Effect::Retry { step, after: After::Reauthorised, .. } => {
                    if let Some(refused) = refused.clone() {
                        stepped.refused.extend(self.put_refused(run, batch, &step, refused)?);
                    }
                }
                Effect::Retry { step, iteration, after, .. } => {
                    let at_ms = now_ms + self.wait_ms(after);
                    timers.push(Timer { spot: Spot { step, iteration }, at_ms });
                }
                Effect::Pause { step, iteration, pause } => {
                    let paused = self.put_pause(run, batch, Spot { step, iteration }, pause)?;
                    timers.extend(paused.timer);
                    stepped.children.extend(paused.child);
                    stepped.answered |= paused.answered;
                }
                Effect::Release { step, iteration, pause } => {
                    let spot = Spot { step, iteration };
                    stepped.wake.extend(self.put_release(run, batch, &spot, &pause)?);
                    over.push(spot);
                }
                Effect::Continue => {}
                Effect::Finish(ending) => {
                    run.put_ending(batch, now_ms, &ending)?;
                    stepped.wake.extend(self.put_return(
                        run,
                        batch,
                        return_failure(&ending).as_ref(),
                        &ending.output,
                    )?);
                    stepped.ended = true;
                }
            }
        }
        if !stepped.ended {
            let at_rest = !draining && !run.state.is_calling();
            run.put_timers(batch, &over, timers, at_rest)?;
            run.put_resting(batch)?;
        }
        Ok(stepped)
    }

    /// Full jitter for backoff; what the remote asked for plus a little, so that
    /// those who wait do not come back all at once.
    pub(crate) fn wait_ms(&self, after: After) -> u64 {
        let chance = self.0.clock.random();
        match after {
            After::Backoff { most_ms } => chance % most_ms.max(1) + 1,
            After::Wait { ms } => ms + chance % (ms / 10 + 50).min(LATE_MS_MAX),
            After::Reauthorised => 0,
        }
    }

    /// What an open run needs next, from its entries alone.
    async fn resume(&self, run: &mut Run) -> Result<Stepped, EngineError> {
        let mut all = Stepped::default();
        for effect in flow::pending(run.flow.plan(), &run.state) {
            let mut batch = Batch::new();
            let mut stepped = match effect {
                Effect::Continue => self.put_step(run, &mut batch, Event::Continue, None, false)?,
                // Its row was written when it began to wait; a timer says that this is over.
                Effect::Retry { after: After::Reauthorised, .. } => continue,
                Effect::Retry { step, iteration, .. } => {
                    let spot = Spot { step, iteration };
                    if run.open.timers.iter().all(|timer| timer.spot != spot) {
                        run.open.timers.push(Timer { spot, at_ms: run.open.ready_at_ms });
                    }
                    continue;
                }
                // Its rows were written when it began to wait.
                Effect::Pause { .. } | Effect::Release { .. } => continue,
                Effect::Call(call) => self.put_resumed(run, &mut batch, *call)?,
                Effect::Finish(_) => return Ok(all),
            };
            self.keep(batch, &mut stepped.children).await?;
            all.add(stepped);
        }
        Ok(all)
    }

    /// The host stopped while this call was under way: it is made again, as a further
    /// try, since the connector may look for traces of the one before; or given up.
    fn put_resumed(&self, run: &mut Run, batch: &mut Batch, mut call: Call) -> Result<Stepped, EngineError> {
        let again = call.repeatable() && !run.state.is_cancelling();
        if again && call.attempt.saturating_sub(call.waits) < INTERRUPTED_MAX {
            call.attempt += 1;
            let (step, iteration, attempt) = (call.step.clone(), call.iteration.clone(), call.attempt);
            run.put_line(batch, self.now_ms(), vec![Entry::Resumed { step, iteration, attempt }], None)?;
            return Ok(Stepped { calls: vec![call], ..Stepped::default() });
        }
        let Call { step, iteration, .. } = call;
        let event = if again {
            let message = "the host stopped during each of many attempts".to_owned();
            Event::CallFailed { step, iteration, failure: Failure::Permanent { message }, sent: true }
        } else {
            Event::Interrupted { step, iteration }
        };
        self.put_step(run, batch, event, None, false)
    }

    /// Performs a call; everything that can go wrong is an event.
    async fn perform(&self, flow: Arc<Published>, run: RunId, call: Call) -> (Event, CallRecord) {
        let uses = &call.uses;
        let digest = flow.plan().locked().get(&uses.plugin).copied();
        let installed = digest.and_then(|digest| self.0.catalogue.plugin(&digest));
        let connection = call.connection.as_ref().map(|id| self.live_connection(&flow.environment, id)).transpose();
        let account = connection.as_ref().ok().and_then(Option::as_deref);
        let refusal = account.and_then(|account| self.refusal_of(account));
        let report = match (&refusal, &installed, &connection) {
            (Some(refusal), ..) => not_made(refusal.failure.clone()),
            (None, Some(installed), Ok(connection)) => {
                let target = CallTarget::Action { operation: uses.operation.clone(), input: call.input.clone() };
                self.call(target, installed, connection.as_deref(), whom(&flow, &run, &call)).await
            }
            (None, None, _) => not_made(Failure::Unavailable {
                problem: Problem::new("plugin-gone", format!("the flow's plugin {} is not installed", uses.plugin))
                    .fix("install it again, then replay the run"),
            }),
            (None, _, Err(error)) => not_made(Failure::Unavailable { problem: error.problems().swap_remove(0) }),
        };
        let sent = may_have_changed(&report);
        let digest = installed.map(|installed| installed.record.digest);
        let mut record = record(Some(&call), call.attempt, digest, &report);
        if report.outcome.as_ref().is_err_and(|failure| failure.remedy() == Remedy::Reauthorise) {
            record.refused = account.map(|account| account.record.renewals);
        }
        let (step, iteration) = (call.step.clone(), call.iteration.clone());
        let event = match report.outcome.and_then(Answer::into_output) {
            Ok(output) => {
                let output = Arc::new(serde_json::from_str(&output).unwrap_or(Value::Null));
                Event::CallSucceeded { step, iteration, output }
            }
            Err(failure) if refusal.is_some() => Event::Refused { step, iteration, failure },
            Err(failure) => {
                tracing::warn!(step = %call.step, attempt = call.attempt, problem = failure.to_problem().what, "call failed");
                Event::CallFailed { step, iteration, failure, sent }
            }
        };
        (event, record)
    }

    /// Hands a batch to the store, with the runs that it makes; while the disk is full or
    /// the writer behind, the result of a call is offered again, since it cannot be had a
    /// second time.
    pub(crate) async fn keep<'r>(
        &self,
        batch: Batch,
        made: impl IntoIterator<Item = &'r mut Run>,
    ) -> Result<(), EngineError> {
        let mut made: Vec<&mut Run> = made.into_iter().collect();
        loop {
            match self.hand_over(batch.clone(), made.iter_mut().map(|run| &mut **run))?.await {
                Err(CommitError::Busy | CommitError::Full) => {
                    tracing::warn!("a result waits for the store");
                    tokio::time::sleep(std::time::Duration::from_millis(KEEP_AGAIN_MS)).await;
                }
                outcome => return outcome.map(drop).map_err(EngineError::from),
            }
        }
    }

    /// An open run as the store has it. None: it has ended meanwhile.
    pub(crate) fn load_run(&self, id: &RunId) -> Result<Option<Run>, EngineError> {
        let Some(mut run) = self.load_begun(id)? else { return Ok(None) };
        self.visit_lines(id, |page| run.take_up(page))?;
        let parts: [&[u8]; 1] = [id.as_str().as_bytes()];
        let store = &*self.0.store;
        // It may have ended between two pages.
        if OPEN.get(store, &parts)?.is_none() {
            return Ok(None);
        }
        if let Some(record) = DELIVERIES.get(store, &parts)? {
            let body = store.get(&BODIES.key(&parts))?.unwrap_or_default();
            run.delivery = Some(RawDelivery { record, body });
        }
        Ok(Some(run))
    }

    /// An open run without what happened in it.
    pub(crate) fn load_begun(&self, id: &RunId) -> Result<Option<Run>, EngineError> {
        let parts: [&[u8]; 1] = [id.as_str().as_bytes()];
        let store = &*self.0.store;
        let (Some(open), Some(record)) = (OPEN.get(store, &parts)?, RUNS.get(store, &parts)?) else { return Ok(None) };
        let flow = self.version(&record.environment, &record.flow, record.version)?;
        let mut run = Run::new(record, flow);
        run.open = open;
        Ok(Some(run))
    }

    /// What happened in a run, in order.
    pub(crate) fn lines(&self, run: &RunId) -> Result<Vec<Line>, EngineError> {
        let store = &*self.0.store;
        let parts: [&[u8]; 1] = [run.as_str().as_bytes()];
        let mut lines = Vec::new();
        self.visit_lines(run, |page| lines.extend(page))?;
        // A run may end between two pages: what it became has all of them.
        if !lines.is_empty() && RUNS.get(store, &parts)?.is_some() {
            return Ok(lines);
        }
        let rows = self.past_rows(run, &LINES.key(&parts))?;
        let past =
            rows.iter().map(|(key, value)| Ok(LINES.parse(key, value)?)).collect::<Result<Vec<_>, EngineError>>()?;
        Ok(if past.is_empty() { lines } else { past })
    }

    /// The same of an open run, a page at a time: there may be more than memory has room for.
    fn visit_lines(&self, run: &RunId, mut visit: impl FnMut(Vec<Line>)) -> Result<(), EngineError> {
        let parts: [&[u8]; 1] = [run.as_str().as_bytes()];
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = LINES.list(&*self.0.store, &parts, after.as_deref(), LINES_PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.to_vec());
            visit(page.into_iter().map(|(_, line)| line).collect());
        }
    }

    /// Puts every open run back into the queue: once, at start.
    pub(crate) fn recover(&self) -> Result<usize, EngineError> {
        let mut count = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = OPEN.list(&*self.0.store, &[], after.as_deref(), crate::flows::PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.to_vec());
            for (key, open) in page {
                let Some(id) = open_id(&key) else { continue };
                count += 1;
                if self.is_first(&id, open.place.as_ref())? {
                    self.put_in_line(id, open.ready_at_ms);
                }
            }
        }
        self.wake_addressed()?;
        Ok(count)
    }
}

/// Whether something may have changed outside: a changing request, or a change of a
/// file, that the remote did not answer with "not now". 401, 429 and 503 are given before
/// anything is done, and so is the last answer to a credential that the connector says was
/// refused.
fn may_have_changed(report: &Report) -> bool {
    let reads = |access: &AccessRecord| matches!(&*access.method, "GET" | "HEAD" | "OPTIONS" | "LIST" | "READ");
    let not_sent = |access: &AccessRecord| access.error.as_ref().is_some_and(|error| error.starts_with("not sent"));
    let refused = |access: &AccessRecord| matches!(access.status, Some(401 | 429 | 503));
    let changed = |access: &AccessRecord| access.allowed && !reads(access) && !not_sent(access) && !refused(access);
    let is_refusal = report.outcome.as_ref().is_err_and(|failure| failure.remedy() == Remedy::Reauthorise);
    let accesses = match report.accesses.split_last() {
        Some((last, before)) if is_refusal && last.status.is_some() => before,
        Some(_) | None => &report.accesses[..],
    };
    report.sent && accesses.iter().any(changed)
}

fn whom<'a>(flow: &'a Published, run: &RunId, call: &Call) -> CallFor<'a> {
    CallFor {
        environment: &flow.environment,
        flow: Some(flow.plan().id().to_string()),
        run: Some(run.to_string()),
        step: Some(call.step.to_string()),
        attempt: call.attempt,
        key: call.key.clone(),
        timeout_ms: call.timeout_ms,
    }
}

pub(crate) fn record(call: Option<&Call>, attempt: u32, digest: Option<model::Digest>, report: &Report) -> CallRecord {
    CallRecord {
        step: call.map(|call| call.step.clone()),
        iteration: call.map(|call| call.iteration.clone()).unwrap_or_default(),
        attempt,
        digest,
        accesses: report.accesses.clone(),
        log: report.log.clone(),
        duration_us: report.duration_us,
        failure: report.outcome.as_ref().err().cloned(),
        refused: None,
    }
}

/// What the run that began this one is told: a cancelled one has not succeeded.
fn return_failure(ending: &flow::Ending) -> Option<Failure> {
    why(ending).or_else(|| match ending.outcome {
        flow::Outcome::Succeeded | flow::Outcome::Failed => None,
        flow::Outcome::Cancelled => {
            Some(Failure::Stopped { reason: ending.reason.clone().unwrap_or_else(|| "it was cancelled".to_owned()) })
        }
    })
}

pub(crate) fn result(run: &Run, ending: Option<flow::Ending>) -> RunResult {
    let (output, failure) = ending.map_or_else(Default::default, |ending| (ending.output.clone(), why(&ending)));
    RunResult {
        run: run.id().clone(),
        status: run.record.status,
        output,
        problem: failure.map(|failure| failure.to_problem()),
    }
}
