//! Runs of one line went one after the other, in the order in which they were accepted.

use std::collections::BTreeMap;

use engine::{Origin, RunView};

use super::Evidence;

/// A run of a line, from its first request to its last.
struct Stay<'a> {
    view: &'a RunView,
    first_ms: u64,
    last_ms: u64,
}

impl Evidence<'_> {
    pub(super) fn lines(&self) {
        let mut lines: BTreeMap<(&str, u64), Vec<Stay<'_>>> = BTreeMap::new();
        for view in &self.runs.views {
            let Some(program) = self.runs.program(&view.record) else { continue };
            let Some(line) = view.trigger.as_ref().and_then(|event| program.line(event)) else { continue };
            let asked: Vec<_> = self
                .works
                .iter()
                .filter(|((run, _), _)| run == view.record.id.as_str())
                .map(|(_, work)| work)
                .collect();
            let first_ms = asked.iter().map(|work| work.first_ms).min();
            let last_ms = asked.iter().map(|work| work.last_ms).max();
            if let (Some(first_ms), Some(last_ms)) = (first_ms, last_ms) {
                lines.entry((program.id, line)).or_default().push(Stay { view, first_ms, last_ms });
            }
        }
        for ((flow, line), mut stays) in lines {
            stays.sort_by_key(|stay| (stay.first_ms, stay.last_ms));
            for pair in stays.windows(2) {
                self.in_turn(flow, line, &pair[0], &pair[1]);
            }
            self.world.trace.count("lines judged");
        }
    }

    fn in_turn(&self, flow: &str, line: u64, first: &Stay<'_>, next: &Stay<'_>) {
        let ids = || (&first.view.record.id, &next.view.record.id);
        if first.last_ms > next.first_ms {
            let (first, next) = ids();
            self.broken(format!("{first} and {next}, of line {line} of {flow}, were under way at once"));
        }
        // Of those that were over within the same moment, nobody knows which went first.
        if first.first_ms == next.first_ms {
            return;
        }
        // Senders cannot tell the order of what was under way at once.
        let told = |stay: &Stay<'_>| self.delivery(stay).and_then(|delivery| delivery.told_ms);
        let sent = |stay: &Stay<'_>| self.delivery(stay).and_then(|delivery| delivery.sent_ms);
        if let (Some(told_ms), Some(sent_ms)) = (told(next), sent(first))
            && told_ms < sent_ms
        {
            let (first, next) = ids();
            self.broken(format!(
                "{next}, of line {line} of {flow}, was acknowledged before {first} was sent, and went after it"
            ));
        }
    }

    /// What became this run; none for a replay, which goes to the end of its line.
    fn delivery(&self, stay: &Stay<'_>) -> Option<crate::senders::Delivery> {
        let record = &stay.view.record;
        if !matches!(record.origin, Origin::Webhook { .. }) {
            return None;
        }
        self.world.deliveries.all().into_iter().find(|delivery| delivery.run.as_ref() == Some(&record.id))
    }
}
