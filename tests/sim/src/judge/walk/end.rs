//! The end of a run, and what its dead letter has to say.

use engine::RunStatus;
use model::Failure;

use super::{After, Walk};

impl Walk<'_> {
    /// The connector never read the delivery.
    pub(super) fn unread(&self) {
        let status = self.view.record.status;
        let fits = match status {
            RunStatus::Ignored => true,
            RunStatus::Cancelled => self.evidence.was_to_end(self.view),
            RunStatus::Failed => self.view.dead_letter.is_some(),
            RunStatus::Succeeded
            | RunStatus::Received
            | RunStatus::Running
            | RunStatus::Waiting
            | RunStatus::NeedsReauthorisation => false,
        };
        if !fits {
            self.broken(format!("has no event, and {}", status.as_str()));
        }
        self.uncalled_for();
    }

    /// The end that the steps lead to, with what its letter has to say.
    pub(super) fn end(&self, after: After) {
        let status = self.view.record.status;
        let was_to_end = self.evidence.was_to_end(self.view);
        let fits = match status {
            RunStatus::Succeeded => matches!(after, After::On | After::Stopped(false)),
            RunStatus::Failed => matches!(after, After::Failed | After::Stopped(true)) || was_to_end && self.doubt,
            RunStatus::Cancelled => was_to_end && after != After::Stopped(true),
            RunStatus::Ignored
            | RunStatus::Received
            | RunStatus::Running
            | RunStatus::Waiting
            | RunStatus::NeedsReauthorisation => false,
        };
        if !fits {
            self.broken(format!("{}, and its steps say {after:?}", status.as_str()));
        }
        if self.doubt && status != RunStatus::Failed {
            self.broken(format!("{} past a doubt", status.as_str()));
        }
        if status == RunStatus::Failed {
            self.explained(after);
        }
        self.uncalled_for();
    }

    fn explained(&self, after: After) {
        let Some(letter) = &self.view.dead_letter else {
            return self.broken("failed without a dead letter".to_owned());
        };
        if letter.problem.what.is_empty() {
            self.broken("has a dead letter that says nothing".to_owned());
        }
        let what = &letter.problem.what;
        let says_so = matches!(letter.failure, Failure::MayHaveHappened { .. });
        match (self.doubt, says_so) {
            (true, false) => self.broken(format!("may have had an effect, and its letter hides it: {what}")),
            (false, true) => self.broken(format!("doubts where nothing is in doubt: {what}")),
            (true, true) => self.evidence.world.trace.count("dead letters that say may-have-happened"),
            (false, false) => {}
        }
        let step = letter.step.as_ref().map(|step| step.to_string()).unwrap_or_default();
        let stopped = matches!(letter.failure, Failure::Stopped { .. });
        if stopped != (after == After::Stopped(true)) {
            self.broken(format!("stopped at {step} of its own will, and its steps say {after:?}: {what}"));
        }
        if after == After::Failed && !self.failed.contains(&step) {
            self.broken(format!("gave up at {step}, and what failed is {:?}", self.failed));
        }
    }

    /// Calls of this run that its event does not lead to.
    fn uncalled_for(&self) {
        let run = self.view.record.id.as_str();
        for (_, mark) in self.evidence.works.keys().filter(|(of, _)| of == run) {
            if !self.seen.contains(mark) {
                self.broken(format!("asked for {mark}, which nothing leads to"));
            }
        }
    }
}
