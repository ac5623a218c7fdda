//! People who use and administer the host while it works, each on their own. In the
//! end they mend what they broke.
//!
//! What they ask and are told is in the book; nobody asks for the same thing twice.

mod administer;
mod answer;
mod mend;
mod rerun;

use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, EngineError};
use model::{FlowId, RunId};
use tokio::task::JoinSet;

use crate::book::{Page, Told};
use crate::dice::Dice;
use crate::flows::Program;
use crate::world::World;

pub(crate) use answer::decide_all;
pub(crate) use mend::{mend, retire};

/// A wrong date is a day off; a wrong time is less.
const DAY_MS: i64 = 24 * 3_600_000;
/// Runs that somebody looks at in a list.
const LOOKED_AT: usize = 50;

/// One person at the host.
pub(crate) struct Person {
    pub(crate) world: Arc<World>,
    pub(crate) engine: Engine,
    pub(crate) dice: Dice,
}

/// Lets people do what they do.
pub(crate) fn meddle(world: &Arc<World>, engine: &Engine, life: u64, everybody: &mut JoinSet<()>) {
    let person = |part: &str| Person {
        world: world.clone(),
        engine: engine.clone(),
        dice: Dice::of(world.seed ^ life << 32, part),
    };
    everybody.spawn(person("answers").answer_some());
    if world.scenario.people {
        everybody.spawn(person("administrator").administer_some());
        everybody.spawn(person("operator").operate_some());
        everybody.spawn(person("replayer").rerun_some());
    }
    if world.scenario.clock_jumps {
        everybody.spawn(person("clock").set_clock());
    }
}

impl Person {
    async fn pause(&self, most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(self.dice.between(1, most_ms))).await;
        self.world.switch.hold().await;
    }

    async fn answer_some(self) {
        for _ in 0..self.dice.between(2, 8) {
            self.pause(5_000).await;
            if self.dice.chance(0.5) {
                self.decide_one().await;
            } else {
                self.signal_one().await;
            }
        }
    }

    async fn operate_some(self) {
        for _ in 0..self.dice.between(1, 5) {
            self.pause(8_000).await;
            match self.dice.between(0, 3) {
                0 | 1 => self.cancel_one().await,
                2 => self.publish_one().await,
                _ => self.rotate_secret().await,
            }
        }
    }

    async fn set_clock(self) {
        for _ in 0..self.dice.between(1, 3) {
            self.pause(20_000).await;
            let wrong_ms = self.dice.pick(&[-DAY_MS, DAY_MS, 0, 30_000, -30_000]);
            self.world.trace.count("clocks set wrong");
            self.world.trace.note(format_args!("the clock is {wrong_ms} ms wrong"));
            self.world.clock.set_wrong(wrong_ms);
        }
    }

    /// Somebody's question, and what the host says to it.
    async fn ask<T, R>(
        &self,
        page: Page<T>,
        what: T,
        words: String,
        answer: impl Future<Output = Result<R, EngineError>>,
        runs: impl FnOnce(&R) -> Vec<RunId>,
    ) -> Result<R, EngineError> {
        let number = self.world.book.ask(page, what);
        self.world.trace.note(format_args!("ask to {words}"));
        let answer = answer.await;
        self.world.switch.hold().await;
        self.world.trace.note(format_args!("{words}: {}", said(&answer)));
        let told = match &answer {
            Ok(answer) => Told::Yes { at_ms: self.world.clock.true_ms(), runs: runs(answer) },
            // Nobody knows.
            Err(EngineError::Internal(_) | EngineError::Unavailable(_)) => Told::Nothing,
            Err(_) => Told::No,
        };
        self.world.book.tell(page, number, told);
        answer
    }

    fn pick<'a, T>(&self, choices: &'a [T]) -> Option<&'a T> {
        let last = choices.len().checked_sub(1)?;
        choices.get(usize::try_from(self.dice.between(0, last as u64)).unwrap_or(0))
    }

    fn any_flow(&self) -> &[Program] {
        self.pick(&self.world.flows).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A flow's name, as the host takes it.
pub(crate) fn name(flow: &str) -> FlowId {
    flow.parse().expect("a name")
}

fn said<T>(outcome: &Result<T, EngineError>) -> String {
    outcome.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned())
}
