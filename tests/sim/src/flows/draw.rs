//! Flows that a seed draws: every kind of start and step, in any order.

use super::{Missed, Named, OnError, Op, Program, Rhythm, Start, Step, Test, Work};
use crate::dice::Dice;

/// Steps of one version, those in branches included: enough for surprises, few enough
/// for many worlds.
const STEPS_MAX: u64 = 9;
const DEPTH_MAX: u32 = 2;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// The flow whose runs go one after the other.
const LINE: &str = "line";
/// The flow that may be run again as a whole: nothing in it must not be done twice.
const TAME: &str = "tame";

/// Versions of each flow: the first is there from the beginning, people publish others.
pub(crate) const VARIANTS: u64 = 3;

/// The flows of a world, callees first: of each, its versions.
pub(crate) fn draw(seed: u64, clock_jumps: bool) -> Vec<Vec<Program>> {
    let dice = Dice::of(seed, "flows");
    let named = dice.pick(&[Named::Header, Named::Body, Named::Fingerprint]);
    // A day that a wrong clock makes up must not be thousands of runs.
    let every_ms = if clock_jumps { 4 * HOUR_MS } else { dice.pick(&[15 * SECOND_MS, MINUTE_MS, 10 * MINUTE_MS]) };
    let rhythm = Rhythm { every_ms, missed: dice.pick(&[Missed::Skip, Missed::Once, Missed::All]) };
    let flows: [(&str, Start, &[&str]); 9] = [
        (TAME, Start::Call, &[]),
        ("leaf", Start::Call, &[]),
        ("branch", Start::Call, &["leaf", TAME]),
        ("event", Start::Delivered, &["leaf", "branch", TAME]),
        ("hook", Start::Webhook { named, responds: dice.chance(0.4) }, &["leaf", "branch"]),
        (LINE, Start::Webhook { named, responds: dice.chance(0.2) }, &["leaf", TAME]),
        ("hand", Start::Manual, &["leaf", "branch", TAME]),
        ("clock", Start::Schedule(rhythm), &["leaf"]),
        ("feed", Start::Poll, &["leaf", TAME]),
    ];
    let versions = |(id, start, callees): (&'static str, Start, &'static [&'static str])| {
        let most = (id != LINE && dice.chance(0.2)).then(|| dice.between(1, 3));
        (0..VARIANTS).map(|variant| program(&dice, id, start, callees, variant, most)).collect()
    };
    flows.into_iter().map(versions).collect()
}

fn program(
    dice: &Dice,
    id: &'static str,
    start: Start,
    callees: &'static [&'static str],
    variant: u64,
    most: Option<u64>,
) -> Program {
    let mut hand = Hand { dice, callees, tame: id == TAME, left: dice.between(2, STEPS_MAX), next: 1 };
    let steps = hand.block(0, Where::Outside);
    let on_error = if dice.chance(0.25) { vec![hand.act(Where::Error)] } else { Vec::new() };
    Program { id, variant, start, most, in_line: id == LINE, steps, on_error }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Outside,
    Loop,
    /// In steps for failures: only calls.
    Error,
}

/// What draws the steps of one version.
struct Hand<'a> {
    dice: &'a Dice,
    callees: &'static [&'static str],
    /// Draws only what may be done twice.
    tame: bool,
    left: u64,
    next: u32,
}

impl Hand<'_> {
    fn block(&mut self, depth: u32, place: Where) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..self.dice.between(1, if depth == 0 { 5 } else { 2 }) {
            if self.left == 0 && !steps.is_empty() {
                break;
            }
            self.left = self.left.saturating_sub(1);
            steps.push(self.step(depth, place));
        }
        steps
    }

    fn id(&mut self) -> String {
        self.next += 1;
        format!("s{}", self.next - 1)
    }

    fn step(&mut self, depth: u32, place: Where) -> Step {
        let id = self.id();
        let nests = depth < DEPTH_MAX;
        let work = match self.dice.between(0, 19) {
            0 if nests => {
                let test = self.test();
                let mut then = self.block(depth + 1, place);
                if place == Where::Outside && self.dice.chance(0.3) {
                    then.push(Step { id: self.id(), work: Work::Stop { failed: self.dice.chance(0.5) } });
                }
                let otherwise = if self.dice.chance(0.5) { self.block(depth + 1, place) } else { Vec::new() };
                Work::If { test, then, otherwise }
            }
            1 if nests => {
                let cases = (0..self.dice.between(1, 2)).map(|_| self.block(depth + 1, place)).collect();
                let otherwise = if self.dice.chance(0.5) { self.block(depth + 1, place) } else { Vec::new() };
                Work::Switch { cases, otherwise }
            }
            2..=4 if nests && place == Where::Outside => Work::Each {
                items: self.dice.pick(&[0, 1, 2, 3, 4]),
                batch: self.dice.pick(&[1, 1, 2]),
                at_once: self.dice.pick(&[1, 2, 3]),
                continues: self.dice.chance(0.5),
                steps: self.block(depth + 1, Where::Loop),
            },
            5..=6 if !self.callees.is_empty() => self.call(),
            7 => Work::WaitFor { ms: self.dice.pick(&[2 * SECOND_MS, 20 * SECOND_MS, 10 * MINUTE_MS, 3 * HOUR_MS]) },
            8 => Work::WaitUntil,
            9 if !self.tame => Work::WaitEvent { timeout_ms: self.pause_ms() },
            10 if nests && !self.tame => {
                let timeout_ms = self.dice.chance(0.7).then(|| self.pause_ms());
                Work::Ask {
                    timeout_ms,
                    on_timeout: timeout_ms.is_some() && self.dice.chance(0.5),
                    approved: self.block(depth + 1, place),
                    rejected: self.block(depth + 1, place),
                }
            }
            11 => Work::Make,
            _ => return self.act_named(id, place),
        };
        Step { id, work }
    }

    fn call(&mut self) -> Work {
        let flow = self.dice.pick(self.callees);
        let attempts = if flow == TAME { self.dice.pick(&[None, Some(2), Some(4)]) } else { None };
        let timeout_ms = self.dice.pick(&[None, None, Some(10 * SECOND_MS), Some(HOUR_MS)]);
        Work::Call { flow, timeout_ms, attempts, on_error: self.on_error() }
    }

    fn act(&mut self, place: Where) -> Step {
        let id = self.id();
        self.act_named(id, place)
    }

    fn act_named(&mut self, id: String, place: Where) -> Step {
        let op = match self.tame {
            true => self.dice.pick(&[Op::Read, Op::Set]),
            false => self.dice.pick(&[Op::Read, Op::Set, Op::Set, Op::Create, Op::Create, Op::Fire, Op::Fire]),
        };
        let when = self.dice.chance(0.1).then(|| self.test());
        let on_error = if place == Where::Error { OnError::Fail } else { self.on_error() };
        // Few, so that the flow itself is tried again.
        let attempts = self.dice.between(1, if self.tame { 2 } else { 6 });
        let work = Work::Act { op, attempts, when, on_error };
        Step { id, work }
    }

    fn on_error(&mut self) -> OnError {
        match self.dice.between(0, 9) {
            0..=1 => OnError::Continue,
            2..=3 => OnError::Steps(vec![self.act(Where::Error)]),
            _ => OnError::Fail,
        }
    }

    fn test(&self) -> Test {
        if self.dice.chance(0.5) { Test::Even } else { Test::Above(self.dice.between(0, 99)) }
    }

    /// How long an event or a person is waited for.
    fn pause_ms(&self) -> u64 {
        self.dice.pick(&[10 * SECOND_MS, 30 * SECOND_MS, 10 * MINUTE_MS, 5 * HOUR_MS])
    }
}
