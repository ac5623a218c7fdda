//! What people were told is so: cancelled runs stop, paused flows wait, published
//! versions are there, each question is answered once and each event heard once.

use std::collections::BTreeSet;

use engine::{Origin, RunStatus, RunView};
use model::RunId;

use super::Evidence;
use crate::book::{Entry, Told};

impl Evidence<'_> {
    pub(super) fn people(&self) {
        for entry in &self.book.cancels {
            if let (Told::Yes { at_ms, .. }, Some(view)) = (&entry.told, self.runs.get(&entry.what)) {
                self.starts_little(view, *at_ms, u64::MAX, "cancelled");
            }
        }
        for entry in &self.book.pauses {
            let Told::Yes { at_ms, .. } = entry.told else { continue };
            let until_ms = entry.what.until_ms.unwrap_or(u64::MAX);
            let runs: Vec<&RunView> = self.runs.of(entry.what.flow).collect();
            runs.into_iter().for_each(|view| self.starts_little(view, at_ms, until_ms, "paused"));
        }
        for entry in self.book.publishings.iter().filter(|entry| entry.told.is_yes()) {
            if !self.runs.versions.values().any(|program| self.world.text(program) == entry.what) {
                self.broken(format!("what was published is lost: {}", entry.what));
            }
        }
        for view in &self.runs.views {
            if view.record.status == RunStatus::Cancelled && !self.was_to_end(view) {
                self.broken(format!("run {} was cancelled by nobody", view.record.id));
            }
        }
        self.decided_once();
        self.heard_once();
    }

    /// Calls that were under way then may be seen afterwards, but no others begin.
    fn starts_little(&self, view: &RunView, from_ms: u64, until_ms: u64, how: &str) {
        let run = view.record.id.as_str();
        let at_once = self.runs.program(&view.record).map_or(1, |program| program.at_once());
        let begun = self
            .works
            .iter()
            .filter(|((of, _), work)| of == run && work.first_ms > from_ms && work.first_ms < until_ms);
        let begun: Vec<&String> = begun.map(|((_, mark), _)| mark).collect();
        if begun.len() > at_once {
            self.broken(format!("run {run} was {how} at {from_ms}, and began {begun:?} afterwards"));
        }
    }

    /// Whether somebody asked for the run's end, or the run that began it did.
    pub(super) fn was_to_end(&self, view: &RunView) -> bool {
        if self.book.cancels.iter().any(|entry| entry.what == view.record.id) {
            return true;
        }
        let Origin::Flow { parent, step, iteration, .. } = &view.record.origin else { return false };
        let gave_up = |parent: &RunView| super::walk::gave_up_on(parent, step.as_str(), iteration);
        self.runs.get(parent).is_some_and(|parent| gave_up(parent) || self.was_to_end(parent))
    }

    fn decided_once(&self) {
        let mut acknowledged = BTreeSet::new();
        for Entry { what, told } in &self.book.decisions {
            if told.is_yes() && !acknowledged.insert(&what.id) {
                self.broken(format!("{} was decided twice; the second time by {}", what.id, what.by));
            }
        }
    }

    /// Each wait of each run was ended by one event at most.
    fn heard_once(&self) {
        let mut reached: BTreeSet<(&str, &RunId)> = BTreeSet::new();
        for Entry { what, told } in &self.book.signals {
            let Told::Yes { runs, .. } = told else { continue };
            for run in runs {
                if !reached.insert((&what.key, run)) {
                    self.broken(format!("run {run} heard {} twice; the second time was {}", what.key, what.serial));
                }
            }
        }
    }
}
