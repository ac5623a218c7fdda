//! What may be done again, how often, and how far apart.
//!
//! Two different things: an attempt of one call, with the same idempotency key; and
//! another run of a whole flow, whose calls have new keys.

use model::{Effect, Idempotency};
use serde::{Deserialize, Serialize};

use super::{Action, Plan, Step, Until, Work};

/// How often a call is tried, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, 1 to 20.
    pub attempts: u32,
    /// The wait after the first attempt, in milliseconds; it doubles.
    pub first_ms: u64,
    /// The longest wait, in milliseconds, at most a day.
    pub most_ms: u64,
}

impl Default for Retry {
    /// Five attempts over about 15 seconds: outlasts a restart at the remote.
    fn default() -> Self {
        Self { attempts: 5, first_ms: 1_000, most_ms: 300_000 }
    }
}

impl Retry {
    /// The longest wait after this attempt (counted from 1), in milliseconds.
    pub fn wait_ms(&self, attempt: u32) -> u64 {
        let doublings = attempt.saturating_sub(1).min(40);
        self.first_ms.saturating_mul(1 << doublings).min(self.most_ms)
    }
}

impl Action {
    /// Whether it may be performed again when it is unknown if it took effect.
    pub fn repeatable(&self) -> bool {
        self.effect == Effect::Read || self.idempotency != Idempotency::None
    }
}

impl Plan {
    /// Why another run of it for the same thing could do something twice, or ask or wait
    /// for what was used up by the one before; none: it may be run again. Says nothing of
    /// the flows that it calls.
    pub fn why_once(&self) -> Option<String> {
        self.steps.iter().find_map(why_once)
    }
}

/// A `key` protects attempts of one call only: another run has another one.
fn why_once(step: &Step) -> Option<String> {
    let id = &step.id;
    match &step.work {
        Work::Action(action) if action.effect == Effect::Read || action.idempotency == Idempotency::Natural => None,
        Work::Action(action) => Some(format!("its step {id} could do {} twice", action.uses)),
        Work::Approve(_) => Some(format!("its step {id} would ask a person twice")),
        Work::Wait { until: Until::Event { .. }, .. } => {
            Some(format!("its step {id} would wait for an event that has come already"))
        }
        Work::Wait { until: Until::For { .. } | Until::At(_), .. }
        | Work::If { .. }
        | Work::Switch { .. }
        | Work::Foreach(_)
        | Work::Call(_)
        | Work::Transform { .. }
        | Work::Stop { .. } => None,
    }
}
