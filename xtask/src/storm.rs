//! A storm: many deliveries over several connections, a `kill -9` in their middle, a
//! restart, and the judgement once everything has settled.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::github::Delivery;
use crate::judge::{Evidence, Verdict, judge, unsettled};
use crate::receiver::Received;
use crate::sender::{Accepted, Outcome, Progress, deliver_all};
use crate::stage::{Stage, WORKERS};

/// Without any progress for this long, what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(45);
/// With no run open nothing more can happen; the figures are read one after another.
const PATIENCE_WHEN_IDLE: Duration = Duration::from_secs(3);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
const SENDING_LOOK_AFTER: Duration = Duration::from_micros(200);

/// What to send, and when to kill.
#[derive(Debug, Clone)]
pub struct Storm {
    /// Stands in every marker: tells storms on one stage apart.
    pub name: String,
    /// How many deliveries; every other one is a bug.
    pub deliveries: usize,
    /// Connections at the same time.
    pub connections: usize,
    /// Kill once so many deliveries have been acknowledged.
    pub kill_at: usize,
}

/// What became of it.
#[derive(Debug)]
pub struct Aftermath {
    /// The judgement.
    pub verdict: Verdict,
    /// Acknowledged deliveries whose first acknowledgement had got lost.
    pub repeated: usize,
    /// The longest time from an end to the first answer of the next process.
    pub down: Duration,
}

/// How often a host ended in a storm.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ends {
    /// How often.
    pub times: usize,
    /// The longest time from an end to the first answer of the next process.
    pub down: Duration,
}

/// A storm's deliveries under way.
pub struct Sending<'a> {
    progress: &'a Progress,
    is_over: &'a dyn Fn() -> bool,
}

impl Sending<'_> {
    /// Waits until so many deliveries are acknowledged, or all are settled.
    pub fn wait_until(&self, acknowledged: usize) {
        while self.progress.acknowledged() < acknowledged && !self.is_over() {
            thread::sleep(SENDING_LOOK_AFTER);
        }
    }

    /// Whether every delivery has its answer.
    pub fn is_over(&self) -> bool {
        (self.is_over)()
    }
}

impl Stage {
    /// Lets a storm pass over the host.
    ///
    /// # Errors
    /// The host does not come back, a delivery is refused, or something never settles.
    pub fn weather(&mut self, storm: &Storm) -> Result<Aftermath> {
        self.ride_out(storm, |stage, sending| {
            sending.wait_until(storm.kill_at);
            let killed = Instant::now();
            stage.kill_and_restart()?;
            Ok(Ends { times: 1, down: killed.elapsed() })
        })
    }

    /// Sends a storm's deliveries while `meanwhile` does its worst to the host. It says
    /// how often the host ended, and leaves it running. Then settles and judges.
    ///
    /// # Errors
    /// As `weather`.
    pub fn ride_out(
        &mut self,
        storm: &Storm,
        meanwhile: impl FnOnce(&mut Self, &Sending<'_>) -> Result<Ends>,
    ) -> Result<Aftermath> {
        let deliveries = self.deliveries(storm);
        let hooks = self.hooks()?;
        let (connections, paths) = (storm.connections, self.paths().to_vec());
        let before = self.receiver().received().len();
        let notes_before = self.notes().len();
        let progress = Progress::new();
        let (mut ends, mut outcome) = (Ends::default(), Outcome::default());
        thread::scope(|scope| -> Result<()> {
            let sending = scope.spawn(|| deliver_all(hooks, &paths, deliveries, connections, &progress));
            let is_over = || sending.is_finished();
            let came_back = meanwhile(self, &Sending { progress: &progress, is_over: &is_over });
            if came_back.is_err() {
                progress.give_up();
            }
            outcome = sending.join().map_err(|_| anyhow::anyhow!("the sender broke"))?;
            ends = came_back?;
            Ok(())
        })?;
        ensure!(outcome.refused.is_empty(), "deliveries were refused: {}", outcome.refused.join("; "));
        ensure!(outcome.accepted.len() == storm.deliveries, "only {} were acknowledged", outcome.accepted.len());
        let uncertain = self.settle(&outcome.accepted, before, notes_before, WORKERS * ends.times)?;
        let (received, notes) = (self.received_since(before), self.notes().split_off(notes_before));
        let verdict = judge(&Evidence {
            accepted: &outcome.accepted,
            received: &received,
            notes: &notes,
            uncertain: &uncertain,
            uncertain_max: WORKERS * ends.times,
        });
        let repeated = outcome.accepted.iter().filter(|accepted| accepted.repeated).count();
        Ok(Aftermath { verdict, repeated, down: ends.down })
    }

    fn deliveries(&self, storm: &Storm) -> Vec<Delivery> {
        let one = |number| {
            let marker = format!("{}-{number:04}", storm.name);
            self.examples().delivery(number, &marker, number % 2 == 0, self.webhook_secret())
        };
        (0..storm.deliveries).map(one).collect()
    }

    fn received_since(&self, before: usize) -> Vec<Received> {
        self.receiver().received().split_off(before)
    }

    /// Waits until every acknowledged delivery is settled and no run is open; the runs
    /// whose effect may have happened.
    fn settle(
        &self,
        accepted: &[Accepted],
        before: usize,
        notes_before: usize,
        uncertain_max: usize,
    ) -> Result<BTreeSet<String>> {
        let mut api = self.api()?;
        let mut progress = (usize::MAX, u64::MAX);
        let mut last = Instant::now();
        loop {
            let letters = api.dead_letters()?;
            ensure!(letters.others.is_empty(), "runs gave up: {}", letters.others.join("; "));
            let open = api.open_runs()?;
            let (received, notes) = (self.received_since(before), self.notes().split_off(notes_before));
            let uncertain = letters.uncertain;
            let evidence =
                Evidence { accepted, received: &received, notes: &notes, uncertain: &uncertain, uncertain_max };
            let missing = unsettled(&evidence);
            if missing.is_empty() && open == 0 {
                return Ok(uncertain);
            }
            if progress != (missing.len(), open) {
                (progress, last) = ((missing.len(), open), Instant::now());
            }
            // No run is open, so nothing more will happen: the judge names what is lost.
            if last.elapsed() > PATIENCE_WHEN_IDLE && open == 0 {
                return Ok(uncertain);
            }
            if last.elapsed() > PATIENCE {
                let names: Vec<&str> = missing.iter().take(5).map(|accepted| accepted.run.as_str()).collect();
                bail!("{open} runs are stuck, {} deliveries unsettled, such as {}", missing.len(), names.join(", "));
            }
            thread::sleep(LOOK_AGAIN_AFTER);
        }
    }
}
