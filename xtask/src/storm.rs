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
use crate::stage::{HOOK, Stage, WORKERS};

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
    /// From the kill to the first answer of the new process.
    pub down: Duration,
}

impl Stage {
    /// Lets a storm pass over the host.
    ///
    /// # Errors
    /// The host does not come back, a delivery is refused, or something never settles.
    pub fn weather(&mut self, storm: &Storm) -> Result<Aftermath> {
        let deliveries = self.deliveries(storm);
        let hooks = self.host()?.hooks();
        let connections = storm.connections;
        let before = self.receiver().received().len();
        let notes_before = self.notes().len();
        let progress = Progress::new();
        let (mut down, mut outcome) = (Duration::ZERO, Outcome::default());
        thread::scope(|scope| -> Result<()> {
            let sending = scope.spawn(|| deliver_all(hooks, HOOK, deliveries, connections, &progress));
            while progress.acknowledged() < storm.kill_at && !sending.is_finished() {
                thread::sleep(SENDING_LOOK_AFTER);
            }
            let killed = Instant::now();
            let restarted = self.kill_and_restart();
            down = killed.elapsed();
            if restarted.is_err() {
                progress.give_up();
            }
            outcome = sending.join().map_err(|_| anyhow::anyhow!("the sender broke"))?;
            restarted
        })?;
        ensure!(outcome.refused.is_empty(), "deliveries were refused: {}", outcome.refused.join("; "));
        ensure!(outcome.accepted.len() == storm.deliveries, "only {} were acknowledged", outcome.accepted.len());
        let uncertain = self.settle(&outcome.accepted, before, notes_before)?;
        let (received, notes) = (self.received_since(before), self.notes().split_off(notes_before));
        let verdict = judge(&Evidence {
            accepted: &outcome.accepted,
            received: &received,
            notes: &notes,
            uncertain: &uncertain,
            uncertain_max: WORKERS,
        });
        let repeated = outcome.accepted.iter().filter(|accepted| accepted.repeated).count();
        Ok(Aftermath { verdict, repeated, down })
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
    fn settle(&self, accepted: &[Accepted], before: usize, notes_before: usize) -> Result<BTreeSet<String>> {
        let mut api = self.api()?;
        let mut progress = (usize::MAX, u64::MAX);
        let mut last = Instant::now();
        loop {
            let letters = api.dead_letters()?;
            ensure!(letters.others.is_empty(), "runs gave up: {}", letters.others.join("; "));
            let open = api.open_runs()?;
            let (received, notes) = (self.received_since(before), self.notes().split_off(notes_before));
            let uncertain = letters.uncertain;
            let evidence = Evidence {
                accepted,
                received: &received,
                notes: &notes,
                uncertain: &uncertain,
                uncertain_max: WORKERS,
            };
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
