//! Schedules: no time starts a flow twice or too early, and missed ones are dealt with
//! as the document says.

use engine::{Engine, Origin, RunView, TriggerView};

use super::Evidence;
use crate::clock::BEGIN_MS;
use crate::flows::{Missed, Program, Rhythm, Start};
use crate::people::name;
use crate::template::environment;

/// A time is missed when the host comes to it later than this, with what the disk
/// takes on top.
const LATE_MS: u64 = 120_000;

impl Evidence<'_> {
    pub(super) fn times(&self, engine: &Engine) {
        for program in self.world.flows.iter().filter_map(|versions| versions.first()) {
            if let Start::Schedule(rhythm) = program.start {
                self.followed(engine, program, rhythm);
            }
        }
    }

    fn followed(&self, engine: &Engine, program: &Program, rhythm: Rhythm) {
        let mut fired: Vec<(u64, &RunView)> = self
            .runs
            .of(program.id)
            .filter_map(|view| match view.record.origin {
                Origin::Schedule { nominal_ms } => Some((nominal_ms, view)),
                _ => None,
            })
            .collect();
        fired.sort_by_key(|(nominal_ms, _)| *nominal_ms);
        for (nominal_ms, view) in &fired {
            self.world.trace.count("times that started a flow");
            let clear = !self.world.scenario.clock_jumps;
            if clear && !(nominal_ms - BEGIN_MS).is_multiple_of(rhythm.every_ms) {
                self.broken(format!("{} was started for {nominal_ms}, which is no time of it", program.id));
            }
            if view.record.accepted_at_ms < *nominal_ms {
                self.broken(format!("{} was started before its time {nominal_ms}", program.id));
            }
        }
        // Under a wrong clock nobody knows which times were missed.
        if !self.world.scenario.clock_jumps {
            self.missed(engine, program, rhythm, &fired);
        }
    }

    fn missed(&self, engine: &Engine, program: &Program, rhythm: Rhythm, fired: &[(u64, &RunView)]) {
        let Some((last_ms, _)) = fired.last() else { return };
        let passed = match engine.flow(&environment(), &name(program.id)).map(|view| view.trigger) {
            Ok(TriggerView::Schedule(schedule)) => schedule.missed,
            other => return self.broken(format!("{} has no schedule any more: {other:?}", program.id)),
        };
        let times = (last_ms - BEGIN_MS) / rhythm.every_ms;
        if fired.len() as u64 + passed != times {
            let fired = fired.len();
            self.broken(format!("{times} times of {}: {fired} started it, {passed} were passed over", program.id));
        }
        if passed > 0 {
            self.world.trace.count("schedules that passed over times");
        }
        for (nominal_ms, view) in fired {
            let late_ms = view.record.accepted_at_ms.saturating_sub(*nominal_ms);
            let follows = match rhythm.missed {
                Missed::All => true,
                Missed::Once => late_ms < rhythm.every_ms,
                Missed::Skip => late_ms < rhythm.every_ms && late_ms <= LATE_MS,
            };
            if !follows {
                self.broken(format!("{} was started for {nominal_ms}, {late_ms} ms late: {rhythm:?}", program.id));
            }
        }
        if rhythm.missed == Missed::All && passed > 0 {
            self.broken(format!("{passed} times of {} were passed over: {rhythm:?}", program.id));
        }
    }
}
