//! The pretended outside: it answers as the test says, in the order it is asked.

use std::collections::VecDeque;
use std::sync::Arc;

use model::{Environment, Problem};

use super::{Reply, Test};
use crate::plan::{Plan, Work};
use crate::run::{After, Answer, Effect, Ending, Entry, Event, Pause, RunFacts, Spot, State, step};

/// A run from its start to its end.
pub(super) struct Story {
    pub(super) entries: Vec<Entry>,
    pub(super) state: State,
    pub(super) ending: Ending,
}

/// Drives the machine to the end, or to the first question without an answer.
pub(super) fn drive(plan: &Plan, test: &Test, environment: &Environment) -> Result<Story, Problem> {
    let run = RunFacts {
        id: "0".repeat(32).parse().expect("32 digits are a run id"),
        started_at: test.started_at.clone(),
        flow_version: 1,
        environment: environment.clone(),
    };
    let mut event = Event::Started { trigger: Arc::clone(&test.trigger), run };
    let (mut state, mut entries, mut asked) = (State::new(), Vec::new(), VecDeque::new());
    loop {
        let transition = step(plan, &state, event);
        transition.entries.iter().for_each(|entry| state.apply(entry));
        entries.extend(transition.entries);
        for effect in transition.effects {
            match effect {
                Effect::Finish(ending) => return Ok(Story { entries, state, ending }),
                Effect::Release { .. } => {}
                Effect::Call(_) | Effect::Retry { .. } | Effect::Pause { .. } | Effect::Continue => {
                    asked.push_back(effect);
                }
            }
        }
        event = match asked.pop_front() {
            Some(effect) => answer(plan, test, effect)?,
            None => return Err(Problem::new("unfinished", "the run waits, and nothing can end that")),
        };
    }
}

fn answer(plan: &Plan, test: &Test, effect: Effect) -> Result<Event, Problem> {
    match effect {
        Effect::Call(call) => {
            let spot = Spot { step: call.step, iteration: call.iteration };
            let reply = test.reply(&spot, call.attempt).ok_or_else(|| missing(plan, &spot))?;
            Ok(called(spot, reply))
        }
        Effect::Pause { step, iteration, pause } => paused(plan, test, Spot { step, iteration }, &pause),
        Effect::Retry { step, iteration, after: After::Reauthorised, .. } => {
            let spot = Spot { step, iteration };
            let what =
                format!("step {spot} waits for another credential of its connection, and in a test nobody gives one");
            Err(Problem::new("needs-reauthorisation", what)
                .field(format!("answers.{}", spot.step))
                .fix("let another attempt answer, or another failure; a refused credential fails no run"))
        }
        Effect::Retry { step, iteration, .. } => Ok(Event::Due { step, iteration }),
        Effect::Continue | Effect::Release { .. } | Effect::Finish(_) => Ok(Event::Continue),
    }
}

fn called(Spot { step, iteration }: Spot, reply: Reply) -> Event {
    match reply {
        Reply::Output(output) => Event::CallSucceeded { step, iteration, output },
        Reply::Failure { failure, sent } => Event::CallFailed { step, iteration, failure, sent },
        // The check lets actions have no other answers.
        Reply::Decision { .. } | Reply::Event(_) | Reply::TimedOut => Event::Due { step, iteration },
    }
}

fn paused(plan: &Plan, test: &Test, spot: Spot, pause: &Pause) -> Result<Event, Problem> {
    if matches!(pause, Pause::For { .. } | Pause::Until { .. }) {
        return Ok(Event::Due { step: spot.step, iteration: spot.iteration });
    }
    let reply = test.reply(&spot, pause.attempt()).ok_or_else(|| missing(plan, &spot))?;
    let Spot { step, iteration } = spot;
    let answer = match reply {
        Reply::Output(output) => Answer::Returned { output },
        Reply::Failure { failure, .. } => Answer::Broke { passing: failure.may_pass(), failure },
        Reply::Decision { outcome, by, comment } => {
            Answer::Decided { outcome, by, at: test.started_at.clone(), comment }
        }
        Reply::Event(payload) => Answer::Signalled { payload },
        Reply::TimedOut => return Ok(Event::Due { step, iteration }),
    };
    Ok(Event::Answered { step, iteration, answer })
}

fn missing(plan: &Plan, spot: &Spot) -> Problem {
    let work = plan.find(&spot.step).map(|step| &step.work);
    let (asks, example) = match work {
        Some(Work::Approve(approve)) => (
            format!("asks {} to decide", approve.role),
            format!("{{ decision: {} }}", approve.outcomes.first().map_or("approve", String::as_str)),
        ),
        Some(Work::Wait { .. }) => ("waits for an event".to_owned(), "{ event: {} }, or { timeout: true }".to_owned()),
        Some(Work::Call(call)) => (format!("calls flow {}", call.flow), "{ output: {} }".to_owned()),
        Some(Work::Action(action)) => (format!("calls {}", action.uses), "{ output: {} }".to_owned()),
        Some(Work::If { .. } | Work::Switch { .. } | Work::Foreach(_) | Work::Transform { .. } | Work::Stop { .. })
        | None => ("asks the outside".to_owned(), "{ output: {} }".to_owned()),
    };
    Problem::new("missing-answer", format!("step {spot} {asks}, and the test has no answer for it"))
        .field(format!("answers.{}", spot.step))
        .fix(format!("add to the test's answers: {}: {example}", spot.step))
}
