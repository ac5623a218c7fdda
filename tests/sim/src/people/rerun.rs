//! People who replay runs and settle dead letters.

use engine::{DeadLetter, EngineError, Replay, ReplayFrom, ReplayVersion, RunView, SettledAs};
use flow::{StepKind, StepOutcome};
use model::{Failure, RunId};
use serde_json::{Value, json};

use super::{LOOKED_AT, Person};
use crate::book::{Again, From};
use crate::flows::Start;
use crate::senders::event;

impl Person {
    pub(super) async fn rerun_some(self) {
        for _ in 0..self.dice.between(1, 4) {
            self.pause(15_000).await;
            let letters = self.engine.dead_letters(None, LOOKED_AT).unwrap_or_default();
            let open: Vec<_> = letters.iter().filter(|letter| letter.settled.is_none()).collect();
            match self.pick(&open) {
                Some(letter) if self.dice.chance(0.7) => self.settle(letter).await,
                Some(_) | None => self.replay_ended().await,
            }
        }
    }

    /// Runs once more what did not give up.
    async fn replay_ended(&self) {
        let Ok(runs) = self.engine.runs(None, None, None, LOOKED_AT) else { return };
        let ended: Vec<_> = runs.iter().filter(|run| run.status.is_final()).collect();
        let Some(view) = self.pick(&ended).and_then(|run| self.engine.show_run(&run.id).ok()) else { return };
        if view.dead_letter.is_none() {
            self.replay(&view).await;
        }
    }

    /// Settles a letter, one way or another; sometimes two people do at once.
    async fn settle(&self, letter: &DeadLetter) {
        let Ok(view) = self.engine.show_run(&letter.run) else { return };
        match self.dice.between(0, 5) {
            0 => self.discard(&letter.run).await,
            1 => {
                self.world.trace.count("dead letters settled by two at once");
                tokio::join!(self.discard(&letter.run), self.replay(&view));
            }
            _ => self.replay(&view).await,
        }
    }

    async fn discard(&self, run: &RunId) {
        if self.world.book.with(|pages| pages.discards.iter().any(|entry| entry.what == *run)) {
            return;
        }
        let answer = self.engine.discard(run, Some("not needed".to_owned()), "ana");
        let words = format!("discard {run}");
        if self.ask(|pages| &mut pages.discards, run.clone(), words, answer, |_| Vec::new()).await.is_ok() {
            self.world.trace.count("dead letters discarded");
        }
    }

    async fn replay(&self, view: &RunView) {
        let of = &view.record.id;
        if self.world.book.with(|pages| pages.replays.iter().any(|entry| entry.what.of == *of)) {
            return;
        }
        let (from, replay_from) = self.from(view);
        let how = if matches!(from, From::Behind(_)) { SettledAs::Happened } else { SettledAs::Replayed };
        let version = match from {
            From::Start | From::Edited(_) => self.dice.pick(&[ReplayVersion::Original, ReplayVersion::Newest]),
            From::Step(_) | From::StepEdited(..) | From::Behind(_) => ReplayVersion::Original,
        };
        let mut replay = Replay { version, from: replay_from, repeat: false, note: None };
        let letter = view.dead_letter.as_ref();
        let in_doubt = letter.is_some_and(|letter| matches!(letter.failure, Failure::MayHaveHappened { .. }));
        if in_doubt && how == SettledAs::Replayed {
            let hasty = self.engine.replay_as(of, &replay, "ana").await;
            self.world.switch.hold().await;
            if hasty.is_ok() {
                self.world.trace.broken(format!("run {of} may have happened, and was repeated without a word"));
            }
            replay.repeat = true;
        }
        let words = format!("replay {of} from {from:?}");
        let kind = match from {
            From::Start => "runs replayed",
            From::Edited(_) => "runs replayed with an edited event",
            From::Step(_) => "runs replayed from a step",
            From::StepEdited(..) => "runs replayed with an edited input",
            From::Behind(_) => "effects confirmed by a person",
        };
        let again = Again { of: of.clone(), from, how };
        let answer = async { self.engine.replay_as(of, &replay, "ana").await };
        let new = self.ask(|pages| &mut pages.replays, again, words.clone(), answer, |run| vec![run.clone()]);
        match new.await {
            Ok(new) => {
                self.world.trace.count(kind);
                self.world.deliveries.tell(new);
            }
            Err(EngineError::Invalid(problems)) => {
                self.world.trace.broken(format!("{words} is refused as wrong: {problems:?}"));
            }
            Err(_) => self.world.trace.count("replays refused"),
        }
    }

    /// From where somebody lets a run go once more.
    fn from(&self, view: &RunView) -> (From, ReplayFrom) {
        let start = (From::Start, ReplayFrom::Start { event: None });
        let program = self.world.flows.iter().filter_map(|versions| versions.first());
        let program = program.into_iter().find(|program| program.id == view.record.flow.as_str());
        let (Some(program), Some(given)) = (program, &view.trigger) else { return start };
        let serial = self.world.book.with(|pages| pages.replays.len());
        match self.dice.between(0, 4) {
            0 if !matches!(program.start, Start::Schedule(_)) => {
                let id = format!("edited{serial}");
                let event = event(&id, self.dice.between(0, 100), 0);
                (From::Edited(id), ReplayFrom::Start { event: Some(event) })
            }
            1 | 2 => {
                let acts = view.steps.iter().filter(|step| step.kind == StepKind::Action);
                let reached: Vec<_> = acts
                    .filter(|step| !matches!(step.outcome, StepOutcome::NotReached | StepOutcome::Skipped))
                    .collect();
                let Some(step) = self.pick(&reached).map(|step| step.step.clone()) else { return start };
                if self.dice.chance(0.5) {
                    return (From::Step(step.to_string()), ReplayFrom::Step { step, input: None });
                }
                let mark = format!("{}/edited{serial}", program.event_id(given));
                let input = json!({ "mark": mark, "n": 7 });
                (From::StepEdited(step.to_string(), mark), ReplayFrom::Step { step, input: Some(input) })
            }
            3 => {
                let letter = view.dead_letter.as_ref().filter(|letter| letter.iteration.is_empty());
                let step = letter.and_then(|letter| letter.step.as_ref());
                let act = |step: &&model::StepId| {
                    view.steps.iter().any(|found| found.step == **step && found.kind == StepKind::Action)
                };
                let Some(step) = step.filter(act) else { return start };
                (From::Behind(step.to_string()), ReplayFrom::Behind { output: Value::Null })
            }
            _ => start,
        }
    }
}
