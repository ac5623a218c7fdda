//! Dead letters are settled as somebody said, once; replays are what was asked for.

use engine::{Origin, RunStatus, RunView, SettledAs};
use model::RunId;

use super::Evidence;
use crate::book::{Again, Entry, Told};

impl Evidence<'_> {
    pub(super) fn letters(&self) {
        for view in &self.runs.views {
            let run = &view.record.id;
            let replay = self.replay_of(run);
            let discard = self.book.discards.iter().find(|entry| entry.what == *run);
            let Some(letter) = &view.dead_letter else {
                if discard.is_some_and(|entry| entry.told.is_yes()) {
                    self.broken(format!("the dead letter of run {run} was discarded, and there is none"));
                }
                continue;
            };
            if view.record.status != RunStatus::Failed {
                self.broken(format!("run {run} {}, with a dead letter", view.record.status.as_str()));
            }
            let how = letter.settled.as_ref().map(|settled| settled.how);
            let asked = match how {
                None => true,
                Some(SettledAs::Discarded) => discard.is_some(),
                Some(SettledAs::Replayed) if is_by_its_step(view) => self.was_run_again(view),
                Some(how) => replay.is_some_and(|entry| entry.what.how == how),
            };
            let discarded = discard.is_some_and(|entry| entry.told.is_yes());
            let replayed = replay.is_some_and(|entry| entry.told.is_yes());
            let heard = match how {
                None => !discarded && !replayed,
                Some(SettledAs::Discarded) => !replayed,
                Some(SettledAs::Replayed | SettledAs::Happened) => !discarded,
            };
            if !asked || !heard {
                self.broken(format!("the dead letter of run {run} is settled as {how:?}: {replay:?}, {discard:?}"));
            }
            if let Some(new) = &letter.replayed_as
                && !self.is_replay(new, run)
            {
                self.broken(format!("run {run} was replayed as {new}, which is another's"));
            }
        }
        self.replays();
    }

    /// The step that began this run has begun another one in its place, or its run has
    /// given up meanwhile.
    fn was_run_again(&self, view: &RunView) -> bool {
        let Origin::Flow { parent, step, iteration, .. } = &view.record.origin else { return false };
        let Some(parent) = self.runs.get(parent) else { return false };
        let of_step = |child: &&engine::Child| child.spot.step == *step && child.spot.iteration == *iteration;
        let tries: Vec<&RunId> = parent.children.iter().filter(of_step).map(|child| &child.run).collect();
        let gave_up = parent.record.status != RunStatus::Succeeded;
        gave_up || tries.last().is_some_and(|last| **last != view.record.id) || self.was_to_end(view)
    }

    /// What somebody asked for; nobody asks twice for the same run.
    pub(super) fn replay_of(&self, run: &RunId) -> Option<&Entry<Again>> {
        self.book.replays.iter().find(|entry| entry.what.of == *run)
    }

    fn is_replay(&self, new: &RunId, run: &RunId) -> bool {
        let origin = self.runs.get(new).map(|view| &view.record.origin);
        matches!(origin, Some(Origin::Replay { of, .. }) if of == run)
    }

    fn replays(&self) {
        for Entry { what, told } in &self.book.replays {
            let is_of = |view: &&RunView| matches!(&view.record.origin, Origin::Replay { of, .. } if *of == what.of);
            let found: Vec<&RunId> = self.runs.views.iter().filter(is_of).map(|view| &view.record.id).collect();
            // A delivery that is read once more may hold several events.
            let unread = self.runs.get(&what.of).is_some_and(|view| view.trigger.is_none());
            let fits = match told {
                Told::Yes { runs, .. } if unread => runs.iter().all(|run| found.contains(&run)),
                Told::Yes { runs, .. } => found == runs.iter().collect::<Vec<_>>(),
                Told::Nothing if unread => true,
                Told::Nothing => found.len() <= 1,
                Told::No => found.is_empty(),
            };
            if !fits {
                self.broken(format!("run {} was replayed as {found:?}; told was {told:?}", what.of));
            }
        }
        for view in &self.runs.views {
            if let Origin::Replay { of, .. } = &view.record.origin
                && self.replay_of(of).is_none()
            {
                self.broken(format!("run {} replays {of}, which nobody asked for", view.record.id));
            }
        }
    }
}

/// Whether no person settled the letter, but the run that began this one.
fn is_by_its_step(view: &RunView) -> bool {
    let by = view.dead_letter.as_ref().and_then(|letter| letter.settled.as_ref()).map(|settled| settled.by.as_str());
    matches!(&view.record.origin, Origin::Flow { parent, .. } if by == Some(format!("run {parent}").as_str()))
}
