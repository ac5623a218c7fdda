//! What one entry says of one step.

use std::sync::Arc;

use super::{ItemsView, StepOutcome, StepView};
use crate::run::{After, Branch, Entry, Iteration, Pause, Spot};

/// The step that an entry is about; an item's end is its loop's matter.
pub fn subject(entry: &Entry) -> Option<Spot> {
    let spot =
        |step: &model::StepId, iteration: &Iteration| Some(Spot { step: step.clone(), iteration: iteration.clone() });
    match entry {
        Entry::Started { .. }
        | Entry::ItemSucceeded { .. }
        | Entry::ItemFailed { .. }
        | Entry::Failing(_)
        | Entry::Given { .. }
        | Entry::Cancelling { .. } => None,
        Entry::Branched { step, iteration, .. }
        | Entry::Skipped { step, iteration }
        | Entry::Evaluated { step, iteration, .. }
        | Entry::Intended { step, iteration, .. }
        | Entry::Resumed { step, iteration, .. }
        | Entry::Attempted { step, iteration, .. }
        | Entry::Succeeded { step, iteration, .. }
        | Entry::Failed { step, iteration, .. }
        | Entry::Paused { step, iteration, .. }
        | Entry::LoopBegan { step, iteration, .. }
        | Entry::LoopEnded { step, iteration } => spot(step, iteration),
        Entry::Finished(ending) => spot(ending.step.as_ref()?, &ending.iteration),
    }
}

/// Takes an entry about this step into its view.
pub(super) fn tell(view: &mut StepView, entry: &Entry) {
    match entry {
        Entry::Started { .. }
        | Entry::ItemSucceeded { .. }
        | Entry::ItemFailed { .. }
        | Entry::Failing(_)
        | Entry::Given { .. }
        | Entry::Cancelling { .. } => {}
        Entry::Branched { taken, .. } => {
            view.outcome = StepOutcome::Succeeded;
            view.taken = Some(branch_words(*taken));
        }
        Entry::Paused { pause, .. } => {
            view.outcome = StepOutcome::Waiting;
            view.waits_for = Some(pause_words(pause));
            if let Pause::Child { input, attempt, .. } = pause {
                view.attempts = *attempt;
                view.input = Some(Arc::clone(input));
            }
        }
        Entry::Skipped { .. } => view.outcome = StepOutcome::Skipped,
        Entry::Evaluated { output, .. } | Entry::Succeeded { output, .. } => {
            view.outcome = StepOutcome::Succeeded;
            view.output = Some(Arc::clone(output));
        }
        Entry::Intended { input, .. } => {
            view.outcome = StepOutcome::Calling;
            view.attempts = 1;
            view.input = Some(Arc::clone(input));
        }
        Entry::Resumed { attempt, .. } => {
            view.outcome = StepOutcome::Calling;
            view.attempts = *attempt;
        }
        Entry::Attempted { failure, after, .. } => {
            view.outcome = StepOutcome::Waiting;
            if *after == After::Reauthorised {
                view.waits_for = Some("another credential of its connection".to_owned());
            }
            view.failure = Some(failure.clone());
        }
        Entry::Failed { failure, continued, branch, .. } => {
            view.taken = branch.then(|| branch_words(Branch::Error));
            view.outcome = if *continued { StepOutcome::Continued } else { StepOutcome::Failed };
            view.failure = Some(failure.clone());
        }
        Entry::LoopBegan { items, .. } => {
            let total = items.as_array().map_or(0, Vec::len);
            view.outcome = StepOutcome::Looping;
            view.items = Some(ItemsView { total: u32::try_from(total).unwrap_or(u32::MAX), ..ItemsView::default() });
        }
        Entry::LoopEnded { .. } => view.outcome = StepOutcome::Succeeded,
        Entry::Finished(_) => end(view),
    }
}

/// The run ended at this step.
fn end(view: &mut StepView) {
    match view.outcome {
        StepOutcome::NotReached => view.outcome = StepOutcome::Succeeded,
        StepOutcome::Calling | StepOutcome::Looping | StepOutcome::Waiting => view.outcome = StepOutcome::Cancelled,
        StepOutcome::Skipped
        | StepOutcome::Succeeded
        | StepOutcome::Continued
        | StepOutcome::Failed
        | StepOutcome::Cancelled => {}
    }
}

fn branch_words(taken: Branch) -> String {
    match taken {
        Branch::Then => "then".to_owned(),
        Branch::Else => "else".to_owned(),
        Branch::Case(index) => format!("case {}", u64::from(index) + 1),
        Branch::Default => "default".to_owned(),
        Branch::Error => "on_error".to_owned(),
    }
}

/// What is waited for, and who must act.
fn pause_words(pause: &Pause) -> String {
    match pause {
        Pause::For { ms } => format!("{} to pass", crate::check::show_duration(*ms)),
        Pause::Until { at_ms } => {
            let at = i64::try_from(*at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            at.map_or_else(|| "an instant".to_owned(), |at| at.to_string())
        }
        Pause::Signal { name, key, .. } => format!("the event {name} with the key {key:?}: somebody signals it"),
        Pause::Approval { role, title, outcomes, .. } => {
            format!("{role} to decide ({}): {title}", outcomes.join(" or "))
        }
        Pause::Child { flow, .. } => format!("the run of flow {flow}"),
    }
}
