//! Runs that the host cannot go on with: tried again later, or ended for good.
//!
//! A fault of the host's own may pass, and leaves the run open. What the store
//! refuses for being too large, and what it cannot read any more, does not pass: the
//! run becomes a dead letter, and its neighbours do not notice.

use std::sync::Arc;

use flow::Effect;
use model::{Failure, OperationRef, Problem, RunId};
use store::Batch;

use crate::accept::RunResult;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::RunStatus;
use crate::run::Run;
use crate::runner::result;

/// A fault of the host's own (no descriptors, no memory) may pass.
const FAULT_AGAIN_MS: u64 = 30_000;

impl Engine {
    /// A fault met a run: the end of one whose rows are damaged, and another try for
    /// all others.
    pub(crate) async fn fault(&self, id: &RunId, error: EngineError) -> Option<RunResult> {
        let given_up = match error.damage() {
            Some(problem) => self.give_up_damaged(id, problem).await,
            None => Err(error),
        };
        given_up.unwrap_or_else(|error| {
            tracing::error!(run = %id, error = &error as &dyn std::error::Error, "the run stays open, and is tried again later");
            self.0.queue.push_timed(self.now_ms() + FAULT_AGAIN_MS, id.clone());
            None
        })
    }

    /// Ends a run whose next batch the store refuses for what it is: too large.
    pub(crate) async fn give_up(&self, id: &RunId, problems: Vec<Problem>) -> Result<Option<RunResult>, EngineError> {
        let Some(run) = self.load_run(id)? else { return Ok(None) };
        let what = problems.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>().join("; ");
        let failure = match in_doubt(&run) {
            Some(uses) => Failure::MayHaveHappened {
                message: format!("the answer of {uses} could not be kept, and the call must not be repeated: {what}"),
            },
            None => Failure::Unavailable {
                problem: Problem::new("too-large", format!("what the run made cannot be kept: {what}"))
                    .fix("pass smaller values from step to step, then replay the run"),
            },
        };
        self.end_given_up(run, failure).await
    }

    /// Ends a run of which something can never be read again.
    async fn give_up_damaged(&self, id: &RunId, problem: Problem) -> Result<Option<RunResult>, EngineError> {
        let Some(mut run) = self.load_begun(id)? else { return Ok(None) };
        let known = self.lines(id).map(|lines| run.take_up(lines));
        let begun = run.record.status != RunStatus::Received;
        let doubt = match (known, in_doubt(&run)) {
            (Ok(()), None) => None,
            (Ok(()), Some(uses)) => Some(format!("the answer of {uses} was not known yet")),
            (Err(_), _) => begun.then(|| "what the run had done cannot be read".to_owned()),
        };
        let failure = match doubt {
            Some(doubt) => Failure::MayHaveHappened { message: format!("{doubt}: {}", problem.what) },
            None => Failure::Unavailable { problem },
        };
        self.end_given_up(run, failure).await
    }

    async fn end_given_up(&self, mut run: Run, failure: Failure) -> Result<Option<RunResult>, EngineError> {
        tracing::error!(run = %run.id(), problem = %failure.to_problem(), "the run is given up");
        let spot = run.state.current().into_iter().next();
        let mut batch = Batch::new();
        run.put_dead(&mut batch, self.now_ms(), spot, failure.clone())?;
        let parent = self.put_return(&run, &mut batch, Some(&failure), &Arc::default())?;
        self.keep(batch, []).await?;
        self.over(&run).await;
        if let Some(parent) = parent {
            self.wake(&parent).await;
        }
        let mut result = result(&run, None);
        result.problem = Some(failure.to_problem());
        Ok(Some(result))
    }
}

/// The call that must not be repeated and has no answer yet, if there is one.
fn in_doubt(run: &Run) -> Option<OperationRef> {
    flow::pending(run.flow.plan(), &run.state).into_iter().find_map(|effect| match effect {
        Effect::Call(call) => (!call.repeatable()).then_some(call.uses),
        Effect::Retry { .. } | Effect::Pause { .. } | Effect::Release { .. } | Effect::Continue | Effect::Finish(_) => {
            None
        }
    })
}
