//! People who answer what runs wait for.

use engine::Engine;
use engine::RunStatus;
use flow::StepView;
use serde_json::json;

use super::{LOOKED_AT, Person};
use crate::book::{Decision, Signal, Told};
use crate::flows::SIGNAL;
use crate::template::environment;
use crate::world::World;

impl Person {
    /// Decides one of the open questions; sometimes two people do at once.
    pub(super) async fn decide_one(&self) {
        let Ok(open) = self.engine.approvals(false, None, LOOKED_AT) else { return };
        let Some(decision) = self.pick(&open) else { return };
        let outcome = self.dice.pick(&["approve", "reject"]);
        let first = self.decide(&decision.id, outcome, "ana");
        if self.dice.chance(0.3) {
            self.world.trace.count("approvals decided by two at once");
            let other = if outcome == "approve" { "reject" } else { "approve" };
            tokio::join!(first, self.decide(&decision.id, other, "ben"));
        } else {
            first.await;
        }
    }

    async fn decide(&self, id: &str, outcome: &'static str, by: &str) {
        let decision = Decision { id: id.to_owned(), outcome, by: by.to_owned() };
        let answer = self.engine.decide(id, outcome, by, None);
        let words = format!("{outcome} {id}");
        if self.ask(|pages| &mut pages.decisions, decision, words, answer, |_| Vec::new()).await.is_ok() {
            self.world.trace.count("approvals decided");
        }
    }

    /// Signals what one of the runs says that it waits for.
    pub(super) async fn signal_one(&self) {
        let Ok(runs) = self.engine.runs(None, Some(RunStatus::Waiting), None, LOOKED_AT) else { return };
        let Some(view) = self.pick(&runs).and_then(|run| self.engine.show_run(&run.id).ok()) else { return };
        let mut keys = Vec::new();
        collect_keys(&view.steps, &mut keys);
        let Some(key) = self.pick(&keys) else { return };
        let first = self.signal(key);
        if self.dice.chance(0.3) {
            self.world.trace.count("events signalled twice at once");
            tokio::join!(first, self.signal(key));
        } else {
            first.await;
        }
    }

    async fn signal(&self, key: &str) {
        let serial = self.world.book.with(|pages| pages.signals.len() as u64);
        let (signal, payload) = (Signal { key: key.to_owned(), serial }, json!({ "serial": serial }));
        let environment = environment();
        let answer = self.engine.signal(&environment, SIGNAL, key, payload);
        let reached = self.ask(|pages| &mut pages.signals, signal, format!("signal {key}"), answer, Vec::clone);
        if reached.await.is_ok_and(|runs| !runs.is_empty()) {
            self.world.trace.count("events signalled");
        }
    }
}

/// The keys of the events that these steps wait for, as they tell people.
fn collect_keys(steps: &[StepView], keys: &mut Vec<String>) {
    for step in steps {
        let words = step.waits_for.as_ref().filter(|_| step.outcome == flow::StepOutcome::Waiting);
        if let Some(words) = words.filter(|words| words.starts_with("the event")) {
            keys.extend(words.split('"').nth(1).map(str::to_owned));
        }
        let items = step.items.iter().flat_map(|items| &items.shown);
        items.for_each(|item| collect_keys(&item.steps, keys));
    }
}

/// Answers every question that is open, so that the world comes to rest.
pub(crate) async fn decide_all(world: &World, engine: &Engine) {
    let Ok(open) = engine.approvals(false, None, usize::MAX) else { return };
    for decision in open {
        let asked = Decision { id: decision.id.clone(), outcome: "approve", by: "ana".to_owned() };
        let number = world.book.ask(|pages| &mut pages.decisions, asked);
        let told = match engine.decide(&decision.id, "approve", "ana", None).await {
            Ok(_) => Told::Yes { at_ms: world.clock.true_ms(), runs: Vec::new() },
            Err(_) => Told::Nothing,
        };
        world.switch.hold().await;
        world.book.tell(|pages| &mut pages.decisions, number, told);
    }
}
