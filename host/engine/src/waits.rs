//! What a run waits for, in words: what has to come first, until when, and who must act.

use flow::{Entry, Pause, Spot, State, Until, Work};
use model::{ConnectionId, Environment, Failure, FlowId, Remedy, RunId};
use serde::{Deserialize, Serialize};
use store::Order;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::pauses::spot_key;
use crate::records::{Child, DECISIONS, DeadLetter, OPEN, OpenRecord, Paused, RunRecord, RunStatus, Timer};
use crate::run::connection_of;

/// Questions of one run that a list looks through for an open one.
const LISTED_DECISIONS_MAX: usize = 100;

/// Something that a run, or a flow's runs, wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitView {
    /// For what.
    pub what: String,
    /// The step that waits; none: the run as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// It goes on then at the latest, or tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Who must act, in words; none: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// What they do: a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
}

/// Attempts of a run's calls that failed and were made again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// How many.
    pub failed: u32,
    /// Of these, how many because the remote asked to wait.
    pub rate_limited: u32,
    /// Of these, how many because it refused the credential.
    pub refused: u32,
}

impl Retries {
    /// None: nothing was tried again.
    pub(crate) fn of(entries: &[Entry]) -> Option<Self> {
        let mut retries = Self::default();
        for entry in entries {
            let Entry::Attempted { failure, .. } = entry else { continue };
            retries.failed += 1;
            retries.rate_limited += u32::from(is_rate_limit(failure));
            retries.refused += u32::from(failure.remedy() == Remedy::Reauthorise);
        }
        (retries.failed > 0).then_some(retries)
    }
}

/// A run with what it takes to say what it waits for.
pub(crate) struct Looked<'a> {
    pub(crate) record: &'a RunRecord,
    pub(crate) flow: &'a Published,
    pub(crate) entries: &'a [Entry],
    pub(crate) state: &'a State,
    pub(crate) open: Option<&'a OpenRecord>,
    pub(crate) children: &'a [Child],
    pub(crate) letter: Option<&'a DeadLetter>,
}

impl Looked<'_> {
    fn due_ms(&self, spot: &Spot) -> Option<u64> {
        let timer = self.open?.timers.iter().find(|timer| timer.spot == *spot)?;
        Some(timer.at_ms)
    }

    /// Why the last attempt at this place failed.
    fn failure(&self, wanted: &Spot) -> Option<&Failure> {
        self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Attempted { step, iteration, failure, .. }
                if *step == wanted.step && *iteration == wanted.iteration =>
            {
                Some(failure)
            }
            _ => None,
        })
    }

    fn child(&self, spot: &Spot, attempt: u32) -> Option<&Child> {
        self.children.iter().find(|child| child.spot == *spot && child.attempt == attempt)
    }

    fn retry(&self, spot: &Spot, attempt: u32) -> WaitView {
        let connection = connection_of(self.flow.plan(), &spot.step);
        let failure = self.failure(spot);
        let view = match (connection, failure) {
            (Some(connection), Some(failure)) if failure.remedy() == Remedy::Reauthorise => {
                for_a_credential(&self.record.environment, connection, failure)
            }
            (Some(connection), Some(failure)) if is_rate_limit(failure) => for_a_remote(connection),
            _ => WaitView::new(format!("attempt {attempt} of its call")),
        };
        WaitView { step: Some(spot.to_string()), until_ms: self.due_ms(spot), ..view }
    }

    fn pause(&self, spot: &Spot, pause: &Pause) -> WaitView {
        let (record, environment) = (self.record, &self.record.environment);
        let view = match pause {
            Pause::For { .. } | Pause::Until { .. } => WaitView::new(for_a_time()),
            Pause::Signal { name, key, .. } => WaitView::new(format!("the event {name} with the key {key:?}")).act(
                "whoever knows of it".to_owned(),
                format!("sluice flow signal {name} --key {key:?} --environment {environment}"),
            ),
            Pause::Approval { role, title, outcomes, .. } => WaitView::new(for_a_decision(title)).act(
                format!("somebody with the role {role}"),
                format!("sluice approval decide {}:{} {}", record.id, spot_key(spot), outcomes.join("|")),
            ),
            Pause::Child { flow, attempt, .. } => match self.child(spot, *attempt) {
                Some(child) => WaitView::new(format!("run {} of flow {flow}", child.run)),
                None => WaitView::new(format!("the run of flow {flow}")),
            },
        };
        WaitView { step: Some(spot.to_string()), until_ms: self.due_ms(spot), ..view }
    }
}

impl WaitView {
    pub(crate) fn new(what: String) -> Self {
        Self { what, step: None, until_ms: None, who: None, how: None }
    }

    pub(crate) fn act(self, who: String, how: String) -> Self {
        Self { who: Some(who), how: Some(how), ..self }
    }
}

impl Engine {
    /// What a run waits for: the next thing first.
    pub(crate) fn waits_of(&self, looked: &Looked<'_>) -> Result<Vec<WaitView>, EngineError> {
        let Looked { record, state, .. } = looked;
        if record.status.is_final() {
            let open = looked.letter.filter(|letter| letter.settled.is_none() && letter.replayed_as.is_none());
            return Ok(open.map(|_| for_a_settlement(record)).into_iter().collect());
        }
        let mut waits = Vec::new();
        let standing = self.0.flows.record(&record.environment, &record.flow);
        waits.extend(
            standing
                .and_then(|standing| standing.paused.clone())
                .map(|paused| for_a_flow(&record.environment, &record.flow, &paused)),
        );
        let before = self.comes_before(record)?;
        waits.extend(before.map(|first| WaitView::new(for_its_turn(record, &first))));
        if record.status == RunStatus::Received
            && let Some(open) = looked.open.filter(|open| open.receive_attempts > 0)
        {
            let what = format!("attempt {} to read its delivery", open.receive_attempts + 1);
            waits.push(WaitView { until_ms: Some(open.ready_at_ms), ..WaitView::new(what) });
        }
        waits.extend(state.retries().iter().map(|(spot, attempt, _)| looked.retry(spot, *attempt)));
        waits.extend(state.pauses().iter().map(|(spot, pause)| looked.pause(spot, pause)));
        Ok(waits)
    }

    /// The first thing that a run in a list waits for. Its lines are not read for it, so
    /// that an event is told without its key, and a call's next attempt not at all.
    pub(crate) fn first_wait(&self, record: &RunRecord) -> Result<Option<String>, EngineError> {
        if record.status.is_final() {
            return Ok(None);
        }
        let standing = self.0.flows.record(&record.environment, &record.flow);
        if let Some(paused) = standing.as_ref().and_then(|standing| standing.paused.as_ref()) {
            return Ok(Some(for_a_flow(&record.environment, &record.flow, paused).what));
        }
        if let Some(first) = self.comes_before(record)? {
            return Ok(Some(for_its_turn(record, &first)));
        }
        if record.status != RunStatus::Waiting {
            return Ok(None);
        }
        let decision = self.first_decision(record)?;
        decision.map_or_else(|| self.first_time_or_event(record), |decision| Ok(Some(decision)))
    }

    fn first_decision(&self, record: &RunRecord) -> Result<Option<String>, EngineError> {
        let of_run: [&[u8]; 1] = [record.id.as_str().as_bytes()];
        let rows = DECISIONS.list(&*self.0.store, &of_run, None, LISTED_DECISIONS_MAX, Order::Ascending)?;
        let mut decisions = rows.into_iter().map(|(_, decision)| decision);
        let open = decisions.find(|decision| decision.decided.is_none() && decision.closed_at_ms.is_none());
        Ok(open.map(|decision| for_a_decision(&decision.title)))
    }

    fn first_time_or_event(&self, record: &RunRecord) -> Result<Option<String>, EngineError> {
        let Some(open) = OPEN.get(&*self.0.store, &[record.id.as_str().as_bytes()])? else { return Ok(None) };
        let flow = self.version(&record.environment, &record.flow, record.version)?;
        let words = |timer: &Timer| match &flow.plan().find(&timer.spot.step)?.work {
            Work::Wait { until: Until::For { .. } | Until::At(_), .. } => Some(for_a_time()),
            Work::Wait { until: Until::Event { name, .. }, .. } => Some(format!("the event {name}")),
            _ => None,
        };
        Ok(open.timers.iter().find_map(words))
    }
}

fn is_rate_limit(failure: &Failure) -> bool {
    matches!(failure, Failure::RateLimited { .. })
}

/// A step goes on at its time.
fn for_a_time() -> String {
    "a time".to_owned()
}

/// A person is asked.
fn for_a_decision(title: &str) -> String {
    format!("a decision: {title}")
}

/// Another run of the same line comes first.
fn for_its_turn(record: &RunRecord, first: &RunId) -> String {
    match record.status {
        RunStatus::Received => format!("run {first} of the same flow, whose delivery is read first"),
        RunStatus::Running
        | RunStatus::Waiting
        | RunStatus::NeedsReauthorisation
        | RunStatus::Succeeded
        | RunStatus::Failed
        | RunStatus::Ignored
        | RunStatus::Cancelled => format!("run {first} of the same key, which came first"),
    }
}

/// A remote refused the credential of a connection.
pub(crate) fn for_a_credential(environment: &Environment, connection: &ConnectionId, failure: &Failure) -> WaitView {
    let what = format!("another credential of connection {connection}: {}", failure.to_problem().what);
    let how = format!("sluice connection update {connection} --environment {environment} --secret-file FILE");
    WaitView::new(what).act("an administrator".to_owned(), how)
}

/// No more calls over a connection for now: its remote, or its grant, says so.
pub(crate) fn for_a_remote(connection: &ConnectionId) -> WaitView {
    WaitView::new(format!("the rate limit of connection {connection}"))
}

/// The flow's runs are not worked on.
pub(crate) fn for_a_flow(environment: &Environment, flow: &FlowId, paused: &Paused) -> WaitView {
    let what = match &paused.cause {
        None => format!("flow {flow}, which {} paused", paused.by),
        Some(cause) => format!("flow {flow}, which is paused: {}", cause.what),
    };
    let resume = format!("sluice flow resume {flow} --environment {environment}");
    let fix = paused.cause.as_ref().and_then(|cause| cause.fix.clone());
    let who = if paused.cause.is_some() { "an administrator" } else { "an operator" };
    WaitView::new(what).act(who.to_owned(), fix.unwrap_or(resume))
}

fn for_a_settlement(record: &RunRecord) -> WaitView {
    let id = &record.id;
    let how = format!("sluice dead replay {id}, or sluice dead discard {id}");
    WaitView::new("a person to settle its dead letter".to_owned()).act("an operator".to_owned(), how)
}
