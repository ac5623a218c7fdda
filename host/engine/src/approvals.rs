//! Questions to people: looked at, and decided once.

use flow::Answer;
use model::{Problem, RunId};
use store::{Batch, CommitError, Order};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::inbox::Message;
use crate::records::{DECISIONS, Decided, Decision};
use crate::run::timestamp;

impl Engine {
    /// Questions, those of older runs first: the open ones, or all of the runs that
    /// have not ended; behind `after` (exclusive).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn approvals(&self, all: bool, after: Option<&str>, limit: usize) -> Result<Vec<Decision>, EngineError> {
        let mut found = Vec::new();
        let mut after = match after {
            Some(id) => Some(key_of(id)?),
            None => None,
        };
        while found.len() < limit {
            let page = DECISIONS.list(&*self.0.store, &[], after.as_deref(), crate::flows::PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.to_vec());
            found.extend(page.into_iter().map(|(_, decision)| decision).filter(|decision| all || is_open(decision)));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// One question.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn approval(&self, id: &str) -> Result<Decision, EngineError> {
        let (run, place) = split(id)?;
        let parts = [run.as_str().as_bytes(), place.as_bytes()];
        if let Some(decision) = DECISIONS.get(&*self.0.store, &parts)? {
            return Ok(decision);
        }
        let past = self.past_rows(&run, &DECISIONS.key(&parts))?;
        let (key, value) = past.first().ok_or_else(|| EngineError::NotFound(unknown(id)))?;
        Ok(DECISIONS.parse(key, value)?)
    }

    /// Answers a question; the run goes on with it.
    ///
    /// # Errors
    /// When it was answered before, is not waited for any more, or has no such
    /// outcome.
    pub async fn decide(
        &self,
        id: &str,
        outcome: &str,
        by: &str,
        comment: Option<String>,
    ) -> Result<Decision, EngineError> {
        self.check_open()?;
        let _one_at_a_time = self.0.administration.lock().await;
        let mut decision = self.approval(id)?;
        check_undecided(&decision)?;
        if !decision.outcomes.iter().any(|known| known == outcome) {
            let what = format!("{outcome:?} is no answer to this question");
            let fix = format!("answer with one of: {}", decision.outcomes.join(", "));
            return Err(EngineError::invalid(Problem::new("unknown-outcome", what).field("outcome").fix(fix)));
        }
        let at_ms = self.now_ms();
        decision.decided = Some(Decided { outcome: outcome.to_owned(), by: by.to_owned(), at_ms, comment });
        let mut batch = Batch::new();
        let (run, place) = split(id)?;
        let parts = [run.as_str().as_bytes(), place.as_bytes()];
        DECISIONS.expect_present(&mut batch, &parts);
        DECISIONS.put(&mut batch, &parts, &decision)?;
        if let Some(Decided { outcome, by, comment, .. }) = decision.decided.clone() {
            let answer = Answer::Decided { outcome, by, at: timestamp(at_ms), comment };
            self.put_message(&mut batch, &run, &Message::Answer { spot: decision.spot.clone(), answer })?;
        }
        match self.0.store.commit(batch).await {
            Ok(_) => {}
            // The run has ended meanwhile.
            Err(CommitError::Conflict { .. }) => {
                check_undecided(&self.approval(id)?)?;
                return Err(EngineError::NotFound(unknown(id)));
            }
            Err(error) => return Err(error.into()),
        }
        self.wake(&run).await;
        Ok(decision)
    }
}

fn is_open(decision: &Decision) -> bool {
    decision.decided.is_none() && decision.closed_at_ms.is_none()
}

fn check_undecided(decision: &Decision) -> Result<(), EngineError> {
    let problem = match (&decision.decided, decision.closed_at_ms) {
        (Some(first), _) => {
            let at = timestamp(first.at_ms);
            let what = format!("{} was first: {} at {at}", first.by, first.outcome);
            Problem::new("decided", what).fix(format!("look at the run: sluice run show {}", decision.run))
        }
        (None, Some(closed)) => {
            let what = format!("nobody waits for this decision any more, since {}", timestamp(closed));
            Problem::new("closed", what)
                .cause("its time was up, or its run has ended")
                .fix(format!("look at the run: sluice run show {}", decision.run))
        }
        (None, None) => return Ok(()),
    };
    Err(EngineError::Conflict(problem))
}

/// The run, and the place of the step in it.
fn split(id: &str) -> Result<(RunId, &str), EngineError> {
    let parts = id.split_once(':').and_then(|(run, place)| Some((run.parse::<RunId>().ok()?, place)));
    parts.ok_or_else(|| EngineError::NotFound(unknown(id)))
}

fn key_of(id: &str) -> Result<Vec<u8>, EngineError> {
    let (run, place) = split(id)?;
    Ok(DECISIONS.key(&[run.as_str().as_bytes(), place.as_bytes()]))
}

fn unknown(id: &str) -> Problem {
    Problem::new("unknown-approval", format!("there is no approval {id:?}"))
        .fix("list them: sluice approval list --all")
}
