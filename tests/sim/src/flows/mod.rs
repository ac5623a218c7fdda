//! Flows as the simulator knows them: which steps there are, and what each stands for.
//!
//! Drawn by a seed (`draw`), written as documents for the host (`write`), and walked
//! again by the judge. What is expected is said here, apart from the code under test:
//! the judge never asks the host what should have happened.

mod draw;
mod write;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::clock::BEGIN_MS;
pub(crate) use draw::draw;

/// One version of a flow.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The flow's name.
    pub(crate) id: &'static str,
    /// Counted from 0. In every mark, so that versions cannot be mixed up.
    pub(crate) variant: u64,
    /// What starts it; the same in every version.
    pub(crate) start: Start,
    /// Runs worked on at once.
    pub(crate) most: Option<u64>,
    /// Whether its runs go one after the other, those of one line.
    pub(crate) in_line: bool,
    /// Its steps.
    pub(crate) steps: Vec<Step>,
    /// Its steps for a run that fails.
    pub(crate) on_error: Vec<Step>,
}

/// What starts a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// The connector's trigger: a delivery holds several events.
    Delivered,
    /// The built-in webhook: the body is the event.
    Webhook {
        /// What names a delivery.
        named: Named,
        /// Whether the answer waits for the run.
        responds: bool,
    },
    /// A person.
    Manual,
    /// The clock.
    Schedule(Rhythm),
    /// What the host finds when it asks.
    Poll,
    /// Steps of other flows.
    Call,
}

/// What names a delivery to the built-in webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Header,
    Body,
    Fingerprint,
}

/// When a schedule starts its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rhythm {
    /// From one time to the next; a minute is written as cron.
    pub(crate) every_ms: u64,
    /// What becomes of missed times.
    pub(crate) missed: Missed,
}

/// What becomes of times at which no host was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    Skip,
    Once,
    All,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Its name, unique in the flow.
    pub(crate) id: String,
    /// What it does.
    pub(crate) work: Work,
}

/// What a step does.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// Calls the connector.
    Act {
        op: Op,
        attempts: u64,
        /// Skipped unless it holds.
        when: Option<Test>,
        on_error: OnError,
    },
    /// Goes one of two ways.
    If { test: Test, then: Vec<Step>, otherwise: Vec<Step> },
    /// Goes by the remainder; the last case is the default.
    Switch { cases: Vec<Vec<Step>>, otherwise: Vec<Step> },
    /// Executes its steps for each item.
    Each {
        items: u32,
        /// Items taken together.
        batch: u32,
        at_once: u32,
        /// Goes past items that fail.
        continues: bool,
        steps: Vec<Step>,
    },
    /// Runs another flow, so often at most.
    Call { flow: &'static str, timeout_ms: Option<u64>, attempts: Option<u64>, on_error: OnError },
    /// Waits for a time to pass.
    WaitFor { ms: u64 },
    /// Waits for the instant that the event names.
    WaitUntil,
    /// Waits for an event that somebody signals.
    WaitEvent { timeout_ms: u64 },
    /// Asks a person, and goes by the answer.
    Ask { timeout_ms: Option<u64>, on_timeout: bool, approved: Vec<Step>, rejected: Vec<Step> },
    /// Makes a value.
    Make,
    /// Ends the run.
    Stop { failed: bool },
}

/// An operation of the simulated connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Reads.
    Read,
    /// Repeating it changes nothing.
    Set,
    /// The remote knows its key.
    Create,
    /// Never twice.
    Fire,
}

/// What a failed step leads to.
#[derive(Debug, Clone)]
pub(crate) enum OnError {
    Fail,
    Continue,
    Steps(Vec<Step>),
}

/// What is asked of the event's number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Test {
    Even,
    Above(u64),
}

/// Lines of a flow whose runs go one after the other.
pub(crate) const LINES: u64 = 2;

/// The name of the event that flows wait for.
pub(crate) const SIGNAL: &str = "sim.signal";

impl Op {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Set => "set",
            Self::Create => "create",
            Self::Fire => "fire",
        }
    }
}

impl Test {
    pub(crate) fn holds(self, n: u64) -> bool {
        match self {
            Self::Even => n.is_multiple_of(2),
            Self::Above(least) => n > least,
        }
    }
}

impl Step {
    /// The lists of steps inside it.
    pub(crate) fn blocks(&self) -> Vec<&[Step]> {
        match &self.work {
            Work::Act { on_error: OnError::Steps(steps), .. }
            | Work::Call { on_error: OnError::Steps(steps), .. }
            | Work::Each { steps, .. } => vec![steps],
            Work::If { then, otherwise, .. } => vec![then, otherwise],
            Work::Switch { cases, otherwise } => {
                cases.iter().map(Vec::as_slice).chain([otherwise.as_slice()]).collect()
            }
            Work::Ask { approved, rejected, .. } => vec![approved, rejected],
            Work::Act { on_error: OnError::Fail | OnError::Continue, .. }
            | Work::Call { on_error: OnError::Fail | OnError::Continue, .. }
            | Work::WaitFor { .. }
            | Work::WaitUntil
            | Work::WaitEvent { .. }
            | Work::Make
            | Work::Stop { .. } => Vec::new(),
        }
    }
}

impl Program {
    /// Calls that may be under way at once in one run.
    pub(crate) fn at_once(&self) -> usize {
        fn most(steps: &[Step]) -> u32 {
            let of = |step: &Step| {
                let own = if let Work::Each { at_once, .. } = &step.work { *at_once } else { 1 };
                step.blocks().into_iter().map(most).max().unwrap_or(1).max(own)
            };
            steps.iter().map(of).max().unwrap_or(1)
        }
        most(&self.steps) as usize
    }

    /// Every kind of step in it, to be counted.
    pub(crate) fn kinds(&self) -> BTreeSet<&'static str> {
        fn add(steps: &[Step], kinds: &mut BTreeSet<&'static str>) {
            for step in steps {
                kinds.insert(step.kind());
                step.blocks().into_iter().for_each(|block| add(block, kinds));
            }
        }
        let mut kinds = BTreeSet::new();
        add(&self.steps, &mut kinds);
        add(&self.on_error, &mut kinds);
        kinds
    }

    /// The end of the mark of a step's effect.
    pub(crate) fn suffix(&self, step: &str, index: Option<u32>) -> String {
        let index = index.map(|index| format!(".{index}")).unwrap_or_default();
        format!("{}.{step}{index}", self.variant)
    }

    /// What names an event.
    pub(crate) fn event_id(&self, event: &Value) -> String {
        let field = if matches!(self.start, Start::Schedule(_)) { "nominal" } else { "id" };
        event[field].as_str().unwrap_or_default().to_owned()
    }

    /// The number that flows go by.
    pub(crate) fn event_n(&self, event: &Value) -> u64 {
        let field = if matches!(self.start, Start::Schedule(_)) { "missed" } else { "n" };
        event[field].as_u64().unwrap_or_default()
    }

    /// The line of an event, where runs go one after the other.
    pub(crate) fn line(&self, event: &Value) -> Option<u64> {
        self.in_line.then(|| self.event_n(event) % LINES)
    }

    /// The instant that `wait: until` waits for; the events of schedules are due at once.
    pub(crate) fn event_at_ms(&self, event: &Value) -> u64 {
        event["at_s"].as_u64().map_or(0, |at_s| BEGIN_MS + at_s * 1_000)
    }
}

impl Step {
    fn kind(&self) -> &'static str {
        match &self.work {
            Work::Act { on_error: OnError::Steps(_), .. } | Work::Call { on_error: OnError::Steps(_), .. } => {
                "step with an error branch"
            }
            Work::Act { .. } => "step action",
            Work::If { .. } => "step if",
            Work::Switch { .. } => "step switch",
            Work::Each { .. } => "step foreach",
            Work::Call { attempts: Some(_), .. } => "step call with retry",
            Work::Call { attempts: None, .. } => "step call",
            Work::WaitFor { .. } => "step wait for",
            Work::WaitUntil => "step wait until",
            Work::WaitEvent { .. } => "step wait for an event",
            Work::Ask { .. } => "step approve",
            Work::Make => "step transform",
            Work::Stop { .. } => "step stop",
        }
    }
}
