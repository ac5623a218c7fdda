//! Schedules: flows that start at times of their own.
//!
//! Invariants: a time starts a flow at most once, since the run, the time and the
//! progress are one batch; times are made up by the flow's policy, a bounded number;
//! a clock that was set back waits, and one that was wrong by days is not believed.

use std::sync::Arc;

use flow::{Plan, Schedule, Trigger};
use model::{Environment, Problem, RunId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Batch;

use crate::alarms::{Alarm, Kind};
use crate::due::Due;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::records::{Origin, RunStatus, SCHEDULES, ScheduleRecord};
use crate::run::{Run, timestamp};
use crate::seen::Seen;

/// Runs written in one batch. Each is about a kilobyte; other commits wait meanwhile.
const RUNS_PER_BATCH: usize = 100;
/// While the queue is full, a schedule asks again this often.
const FULL_AGAIN_MS: u64 = 1_000;
/// A clock set back less than this may be right, and the time is waited for: a day
/// and the hour of daylight saving. One set back further was wrong before.
const BACK_MS_MAX: u64 = 25 * 3_600_000;
/// Times to come that people are shown.
const SHOWN: usize = 3;

/// A time to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occasion {
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// In the schedule's zone, with its offset.
    pub local: String,
}

/// Something about a trigger that people should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it was noticed.
    pub at_ms: u64,
    /// What happened, the likely cause, the fix.
    pub problem: Problem,
}

/// A schedule, as people look at it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduleView {
    /// `cron 0 9 * * 1-5` or `every 15m`.
    pub rhythm: String,
    /// The zone of its hours.
    pub zone: String,
    /// What becomes of missed times.
    pub policy: flow::Missed,
    /// The next times.
    pub next: Vec<Occasion>,
    /// The last time that started the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Occasion>,
    /// The run it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunId>,
    /// Times passed over, in all.
    pub missed: u64,
    /// What was noticed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

impl ScheduleRecord {
    fn new(schedule: &Schedule, now_ms: u64) -> Self {
        Self {
            schedule: schedule.clone(),
            since_ms: now_ms,
            last_ms: now_ms,
            fired_ms: None,
            run: None,
            passed: 0,
            missed: 0,
            note: None,
        }
    }

    fn due(&self, now_ms: u64) -> Due {
        Due::of(&self.schedule, self.since_ms, self.last_ms, now_ms)
    }

    fn event(&self, at_ms: u64) -> Value {
        self.schedule.event(at_ms, self.fired_ms, self.passed)
    }

    fn passed_over(&mut self, due: &Due, now_ms: u64) {
        if due.passed == 0 {
            return;
        }
        self.passed += due.passed;
        self.missed += due.passed;
        let what = format!("{} of its times were passed over up to {}", due.passed, timestamp(due.until_ms));
        let problem = Problem::new("times-missed", what)
            .cause("the host was not running then, had no room for a run, or its clock jumped forwards")
            .fix(format!(
                "nothing, if missed: {} is what you want; skip, once and all (up to {} times) are the choices",
                self.schedule.missed.as_str(),
                crate::due::ALL_MAX,
            ));
        self.note = Some(Note { at_ms: now_ms, problem });
    }
}

impl Engine {
    /// Keeps what the flow's schedule begins with, in the batch that publishes it. The
    /// same schedule again goes on where it is.
    pub(crate) fn put_schedule(
        &self,
        batch: &mut Batch,
        environment: &Environment,
        plan: &Plan,
    ) -> Result<(), EngineError> {
        let parts: [&[u8]; 2] = [environment.as_str().as_bytes(), plan.id().as_str().as_bytes()];
        let Trigger::Schedule(schedule) = plan.trigger() else { return Ok(()) };
        let kept = SCHEDULES.get(&*self.0.store, &parts)?;
        if kept.as_ref().is_none_or(|kept| kept.schedule != *schedule) {
            let fired = kept.map(|kept| (kept.fired_ms, kept.run, kept.missed));
            let mut record = ScheduleRecord::new(schedule, self.now_ms());
            (record.fired_ms, record.run, record.missed) = fired.unwrap_or_default();
            SCHEDULES.put(batch, &parts, &record)?;
        }
        Ok(())
    }

    /// Sets the flow's alarm by what is kept.
    pub(crate) fn arm_schedule(&self, published: &Published, schedule: &Schedule) -> Result<(), EngineError> {
        let record = self.schedule_record(published, schedule)?;
        self.0.alarms.set(alarm(published), record.schedule.next_ms(record.since_ms, record.last_ms));
        Ok(())
    }

    /// Starts the flow for the times that are due, and sets its next alarm.
    pub(crate) async fn fire_schedule(
        &self,
        published: &Arc<Published>,
        schedule: &Schedule,
    ) -> Result<(), EngineError> {
        let mut record = self.schedule_record(published, schedule)?;
        let now_ms = self.now_ms();
        let mut batch = Batch::new();
        if record.last_ms > now_ms + BACK_MS_MAX {
            set_back(&mut record, now_ms);
            put_record(&mut batch, published, &record)?;
        }
        let due = record.due(now_ms).first(RUNS_PER_BATCH);
        if !due.fire.is_empty() && self.check_room(published).is_err() {
            self.0.alarms.set(alarm(published), Some(now_ms + FULL_AGAIN_MS));
            return Ok(());
        }
        let mut runs = self.put_due(published, &mut record, &due, &mut batch)?;
        if !batch.is_empty() {
            let bytes = batch.bytes();
            self.hand_over(batch, &mut runs)?.await?;
            runs.into_iter().for_each(|run| self.set_going(run, bytes));
        }
        self.0.alarms.set(alarm(published), record.schedule.next_ms(record.since_ms, record.last_ms));
        Ok(())
    }

    /// Writes the runs of these times, and how far the schedule is.
    fn put_due(
        &self,
        published: &Arc<Published>,
        record: &mut ScheduleRecord,
        due: &Due,
        batch: &mut Batch,
    ) -> Result<Vec<Run>, EngineError> {
        if due.until_ms == record.last_ms {
            return Ok(Vec::new());
        }
        record.passed_over(due, self.now_ms());
        if due.passed > 0 {
            let flow = published.plan().id();
            tracing::warn!(%flow, environment = %published.environment, missed = due.passed, started = due.fire.len(), "a schedule was not followed in time");
        }
        let mut runs = Vec::new();
        for at_ms in &due.fire {
            runs.extend(self.put_fired(published, record, *at_ms, batch)?);
        }
        record.last_ms = due.until_ms;
        put_record(batch, published, record)?;
        Ok(runs)
    }

    /// Writes one run. None: the flow was started for this time before, under a clock
    /// or a schedule that was changed since.
    fn put_fired(
        &self,
        published: &Arc<Published>,
        record: &mut ScheduleRecord,
        at_ms: u64,
        batch: &mut Batch,
    ) -> Result<Option<Run>, EngineError> {
        let key = format!("time:{at_ms}");
        let seen = Seen { environment: &published.environment, flow: published.plan().id(), key: &key };
        if self.was_seen(&seen)? {
            return Ok(None);
        }
        let mut run = self.new_run(published, Origin::Schedule { nominal_ms: at_ms }, RunStatus::Running);
        self.put_seen(&seen, run.id(), batch);
        run.put_accepted(batch)?;
        self.put_started(&mut run, batch, Arc::new(record.event(at_ms)))?;
        (record.fired_ms, record.run, record.passed) = (Some(at_ms), Some(run.id().clone()), 0);
        Ok(Some(run))
    }

    /// What is kept of the flow's schedule; it begins now when nothing is.
    fn schedule_record(&self, published: &Published, schedule: &Schedule) -> Result<ScheduleRecord, EngineError> {
        let kept = SCHEDULES.get(&*self.0.store, &parts(published))?;
        let kept = kept.filter(|kept| kept.schedule == *schedule);
        Ok(kept.unwrap_or_else(|| ScheduleRecord::new(schedule, published.record.applied_at_ms)))
    }

    pub(crate) fn schedule_view(
        &self,
        published: &Published,
        schedule: &Schedule,
    ) -> Result<ScheduleView, EngineError> {
        let record = self.schedule_record(published, schedule)?;
        let now_ms = self.now_ms();
        let after_ms = record.last_ms.max(now_ms);
        let note = if record.last_ms > now_ms { Some(waits(&record, now_ms)) } else { record.note };
        Ok(ScheduleView {
            rhythm: schedule.rhythm.to_string(),
            zone: schedule.zone.name().to_owned(),
            policy: schedule.missed,
            next: occasions(schedule, record.since_ms, after_ms),
            last: record.fired_ms.map(|at_ms| occasion(schedule, at_ms)),
            last_run: record.run,
            missed: record.missed,
            note,
        })
    }

    /// The next times of a flow that has a schedule, were it published now.
    pub fn next_times(&self, plan: &Plan) -> Vec<Occasion> {
        match plan.trigger() {
            Trigger::Schedule(schedule) => occasions(schedule, self.now_ms(), self.now_ms()),
            Trigger::Connector { .. }
            | Trigger::Poll(_)
            | Trigger::Webhook { .. }
            | Trigger::Manual { .. }
            | Trigger::Call { .. } => Vec::new(),
        }
    }
}

/// A clock that was wrong by days: what it said of times to come is forgotten.
fn set_back(record: &mut ScheduleRecord, now_ms: u64) {
    let what = format!("the clock was set back from {} to {}", timestamp(record.last_ms), timestamp(now_ms));
    tracing::warn!(what, "a schedule begins anew");
    let problem = Problem::new("clock-set-back", what)
        .cause("the machine's clock was wrong before")
        .fix("look at the runs that were started for times to come: sluice run list");
    (record.last_ms, record.since_ms) = (now_ms, record.since_ms.min(now_ms));
    record.note = Some(Note { at_ms: now_ms, problem });
}

/// Times that were dealt with are not repeated because the clock says so.
fn waits(record: &ScheduleRecord, now_ms: u64) -> Note {
    let what =
        format!("times up to {} were dealt with already; the clock has yet to reach that", timestamp(record.last_ms));
    let problem = Problem::new("clock-set-back", what)
        .cause("the machine's clock was set back")
        .fix("nothing, if the clock is right now: the schedule goes on after that time");
    Note { at_ms: now_ms, problem }
}

fn occasion(schedule: &Schedule, at_ms: u64) -> Occasion {
    Occasion { at_ms, local: schedule.local(at_ms) }
}

fn occasions(schedule: &Schedule, since_ms: u64, after_ms: u64) -> Vec<Occasion> {
    let next = |at_ms: &u64| schedule.next_ms(since_ms, *at_ms);
    let times = std::iter::successors(next(&after_ms), |at_ms| next(at_ms));
    times.take(SHOWN).map(|at_ms| occasion(schedule, at_ms)).collect()
}

fn parts(published: &Published) -> [&[u8]; 2] {
    [published.environment.as_str().as_bytes(), published.plan().id().as_str().as_bytes()]
}

fn put_record(batch: &mut Batch, published: &Published, record: &ScheduleRecord) -> Result<(), EngineError> {
    Ok(SCHEDULES.put(batch, &parts(published), record)?)
}

fn alarm(published: &Published) -> Alarm {
    let (environment, flow) = (published.environment.clone(), published.plan().id().clone());
    Alarm { kind: Kind::Schedule, environment, flow }
}
