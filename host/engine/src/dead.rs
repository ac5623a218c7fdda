//! Dead letters: what gave up, until a person settles it.
//!
//! A letter is open until it is replayed, discarded with a note, or its effect is
//! confirmed to have happened. Settled ones move to a table of their own, so that
//! listing the open ones costs what is open. Settling twice is a conflict.

use model::{Environment, FlowId, Problem, RunId};
use store::{Batch, Order, Table};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::PAGE;
use crate::records::{DEAD, DEAD_SETTLED, DeadLetter, Settled, SettledAs};
use crate::replay::Replay;

/// Which dead letters are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Those of one environment.
    pub environment: Option<Environment>,
    /// Those of one flow.
    pub flow: Option<FlowId>,
    /// Those with this problem: `remote`, `may-have-happened`, ...
    pub code: Option<String>,
    /// Those that were settled too.
    pub settled: bool,
}

impl DeadFilter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        self.environment.as_ref().is_none_or(|environment| letter.environment == *environment)
            && self.flow.as_ref().is_none_or(|flow| letter.flow == *flow)
            && self.code.as_ref().is_none_or(|code| letter.problem.code == *code)
    }
}

/// Some dead letters, newest first.
#[derive(Debug, Clone, Default)]
pub struct DeadPage {
    /// Those that were found.
    pub letters: Vec<DeadLetter>,
    /// Where to go on: older than this run; none: there is no older one.
    pub next: Option<RunId>,
}

/// What became of each of many letters.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Settlement {
    /// Those that were settled: the run, and the one in its place.
    pub settled: Vec<SettledRun>,
    /// Those that were not, and why.
    pub refused: Vec<RefusedRun>,
    /// Whether there are more: ask again.
    pub more: bool,
}

/// A letter that was settled.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct SettledRun {
    /// The run that gave up.
    pub run: RunId,
    /// The run in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed_as: Option<RunId>,
}

/// A letter that was left as it is.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RefusedRun {
    /// The run that gave up.
    pub run: RunId,
    /// Why.
    pub problem: Problem,
}

/// What is done with many letters.
#[derive(Debug, Clone)]
pub enum Treatment {
    /// Each becomes a run of its own, from the start.
    Replay(Box<Replay>),
    /// Each is put aside, with a note.
    Discard {
        /// Why.
        note: Option<String>,
    },
}

/// How long a settled letter is kept: as long as its run.
const SETTLED_KEPT_MS: u64 = 30 * 24 * 3_600 * 1_000;
/// Rows looked at for one page: a filter that few letters pass must not hold the host.
const LOOKED_AT_MAX: usize = 10_000;
/// Letters settled by one request; the answer says whether to ask again.
const SETTLED_MAX: usize = 500;

impl Engine {
    /// Dead letters, open and settled, newest first, before `before` (exclusive).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn dead_letters(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<DeadLetter>, EngineError> {
        let filter = DeadFilter { settled: true, ..DeadFilter::default() };
        self.list_dead(&filter, before, limit).map(|page| page.letters)
    }

    /// Those dead letters that pass a filter, newest first, before `before` (exclusive).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list_dead(
        &self,
        filter: &DeadFilter,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<DeadPage, EngineError> {
        let mut page = self.letters(&DEAD, filter, before, limit)?;
        if filter.settled {
            let settled = self.letters(&DEAD_SETTLED, filter, before, limit)?;
            page = merge(page, settled, limit);
        }
        Ok(page)
    }

    fn letters(
        &self,
        table: &Table<DeadLetter>,
        filter: &DeadFilter,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<DeadPage, EngineError> {
        let mut page = DeadPage { letters: Vec::new(), next: before.cloned() };
        let mut looked_at = 0;
        while looked_at < LOOKED_AT_MAX {
            let after = page.next.as_ref().map(|id| table.key(&[id.as_str().as_bytes()]));
            let rows = table.list(&*self.0.store, &[], after.as_deref(), limit.max(100), Order::Descending)?;
            if rows.is_empty() {
                return Ok(DeadPage { next: None, ..page });
            }
            looked_at += rows.len();
            for (_, letter) in rows {
                page.next = Some(letter.run.clone());
                if filter.takes(&letter) {
                    page.letters.push(letter);
                }
                if page.letters.len() == limit {
                    return Ok(page);
                }
            }
        }
        Ok(page)
    }

    /// The dead letter of a run, open or settled.
    ///
    /// # Errors
    /// When the run has none.
    pub fn dead_letter(&self, run: &RunId) -> Result<DeadLetter, EngineError> {
        self.find_letter(run)?.ok_or_else(|| no_letter(run))
    }

    pub(crate) fn find_letter(&self, run: &RunId) -> Result<Option<DeadLetter>, EngineError> {
        let parts: [&[u8]; 1] = [run.as_str().as_bytes()];
        let open = DEAD.get(&*self.0.store, &parts)?;
        open.map_or_else(|| Ok(DEAD_SETTLED.get(&*self.0.store, &parts)?), |letter| Ok(Some(letter)))
    }

    /// Puts a letter aside: nothing runs again.
    ///
    /// # Errors
    /// When the run has no open letter.
    pub async fn discard(&self, run: &RunId, note: Option<String>, by: &str) -> Result<DeadLetter, EngineError> {
        let mut letter = self.open_letter(run)?;
        letter.settled = Some(Settled { at_ms: self.now_ms(), by: by.to_owned(), how: SettledAs::Discarded, note });
        let mut batch = Batch::new();
        put_settled(&mut batch, &letter)?;
        self.settled(run, self.0.store.commit(batch)).await?;
        Ok(letter)
    }

    /// Replays or discards many letters, the oldest of the newest page first. Bounded:
    /// the settlement says whether there are more. What was settled stays settled, so
    /// asking again after any failure goes on where it ended.
    ///
    /// # Errors
    /// When the letters cannot be read, or the queue is full before the first.
    pub async fn settle_many(
        &self,
        filter: &DeadFilter,
        treatment: &Treatment,
        by: &str,
    ) -> Result<Settlement, EngineError> {
        let page = self.list_dead(filter, None, SETTLED_MAX)?;
        let mut settlement = Settlement { more: page.next.is_some(), ..Settlement::default() };
        for letter in page.letters.iter().rev() {
            let run = letter.run.clone();
            let settled = match treatment {
                Treatment::Replay(replay) => self.replay_as(&run, replay, by).await.map(Some),
                Treatment::Discard { note } => self.discard(&run, note.clone(), by).await.map(|_| None),
            };
            match settled {
                Ok(replayed_as) => settlement.settled.push(SettledRun { run, replayed_as }),
                Err(EngineError::Busy { problem, retry_after_ms }) if settlement.settled.is_empty() => {
                    return Err(EngineError::Busy { problem, retry_after_ms });
                }
                Err(EngineError::Busy { .. }) => {
                    settlement.more = true;
                    break;
                }
                Err(error) => settlement.refused.push(RefusedRun { run, problem: error.problems().swap_remove(0) }),
            }
        }
        // Those refused would be found again: without progress there is no more to do.
        settlement.more &= !settlement.settled.is_empty();
        Ok(settlement)
    }

    /// Forgets letters that were settled long ago, a page at a time from the oldest.
    pub(crate) async fn forget_settled(&self) -> Result<(), EngineError> {
        loop {
            let rows = DEAD_SETTLED.list(&*self.0.store, &[], None, PAGE, Order::Ascending)?;
            let is_old = |letter: &DeadLetter| {
                let settled = letter.settled.as_ref().map_or(letter.at_ms, |settled| settled.at_ms);
                settled.saturating_add(SETTLED_KEPT_MS) < self.now_ms()
            };
            let mut batch = Batch::new();
            rows.iter().filter(|(_, letter)| is_old(letter)).for_each(|(key, _)| batch.delete(key));
            if batch.is_empty() {
                return Ok(());
            }
            self.0.store.commit(batch).await?;
        }
    }

    pub(crate) fn open_letter(&self, run: &RunId) -> Result<DeadLetter, EngineError> {
        let letter = self.dead_letter(run)?;
        match settled_problem(&letter) {
            Some(problem) => Err(EngineError::Conflict(problem)),
            None => Ok(letter),
        }
    }

    /// What settles a letter was committed; somebody else may have been first.
    pub(crate) async fn settled(&self, run: &RunId, commit: store::Commit) -> Result<(), EngineError> {
        match commit.await {
            Ok(_) => Ok(()),
            Err(store::CommitError::Conflict { .. }) => {
                let letter = self.dead_letter(run)?;
                Err(EngineError::Conflict(settled_problem(&letter).unwrap_or_else(|| {
                    Problem::new("changed", format!("the dead letter of run {run} changed meanwhile")).fix("try again")
                })))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Moves a letter to the settled ones; the batch is a conflict unless it is open.
pub(crate) fn put_settled(batch: &mut Batch, letter: &DeadLetter) -> Result<(), EngineError> {
    let parts: [&[u8]; 1] = [letter.run.as_str().as_bytes()];
    DEAD.expect_present(batch, &parts);
    DEAD.delete(batch, &parts);
    DEAD_SETTLED.put(batch, &parts, letter)?;
    Ok(())
}

/// What became of a letter that is not open any more.
fn settled_problem(letter: &DeadLetter) -> Option<Problem> {
    let run = &letter.run;
    if let Some(again) = &letter.replayed_as {
        return Some(
            Problem::new("replayed", format!("run {run} was replayed already, as {again}"))
                .fix(format!("look at it: sluice run show {again}; if it failed too, replay that one")),
        );
    }
    let settled = letter.settled.as_ref()?;
    let note = settled.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    let how = match settled.how {
        SettledAs::Discarded => "discarded",
        SettledAs::Replayed | SettledAs::Happened => "settled",
    };
    Some(
        Problem::new("settled", format!("the dead letter of run {run} was {how} by {}{note}", settled.by))
            .fix(format!("look at it: sluice dead show {run}")),
    )
}

fn no_letter(run: &RunId) -> EngineError {
    EngineError::NotFound(
        Problem::new("no-dead-letter", format!("run {run} has no dead letter"))
            .cause("it did not give up, or there is no such run")
            .fix("list them: sluice dead list"),
    )
}

/// The newest of two pages; where one of them ends, so does the whole.
fn merge(open: DeadPage, settled: DeadPage, limit: usize) -> DeadPage {
    let floor = open.next.clone().into_iter().chain(settled.next.clone()).max();
    let mut letters = open.letters;
    letters.extend(settled.letters);
    letters.sort_by(|a, b| b.run.cmp(&a.run));
    letters.retain(|letter| floor.as_ref().is_none_or(|floor| letter.run >= *floor));
    let is_cut = letters.len() > limit;
    letters.truncate(limit);
    let next = if is_cut { letters.last().map(|letter| letter.run.clone()) } else { floor };
    DeadPage { letters, next }
}
