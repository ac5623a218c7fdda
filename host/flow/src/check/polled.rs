//! A trigger that the host asks for its events, now and then.

use model::{OperationRef, Poll as Declaration, Problem, Trigger as Declared};

use super::accounts::{self, Asked};
use super::read::{Fields, show_duration};
use super::report::{Report, wrong};
use super::trigger::config;
use crate::operations::Operations;
use crate::plan::{Poll, Start, Trigger};

/// A week: what is asked for less often has a schedule.
const EVERY_MS_MAX: u64 = 7 * 86_400_000;

/// How the trigger is polled, if it is: one of both kinds only when the flow says so.
pub(super) fn wanted<'a>(fields: &Fields<'_>, declared: &'a Declared) -> Option<&'a Declaration> {
    declared.poll.as_ref().filter(|_| declared.webhook.is_none() || fields.get("poll").is_some())
}

pub(super) fn read(
    fields: &Fields<'_>,
    uses: OperationRef,
    (declared, poll): (&Declared, &Declaration),
    operations: &dyn Operations,
    report: &mut Report<'_>,
) -> Option<Trigger> {
    needless(fields, report);
    let before = report.len();
    let asked = Asked { uses: &uses, need: poll.connection, scopes: &poll.scopes };
    let connection = accounts::connection(fields, &asked, operations, report);
    let config = config(fields, declared, report);
    let (every_ms, from) = how(fields, poll, report);
    let made = Poll { uses, connection, config, every_ms, from, event: declared.event.clone() };
    (report.len() == before).then_some(Trigger::Poll(made))
}

/// Nobody waits for an answer to a poll, and nobody delivers.
fn needless(fields: &Fields<'_>, report: &mut Report<'_>) {
    for key in ["respond", "hook_token", "subscribe"] {
        if let Some(node) = fields.get(key) {
            let problem =
                Problem::new("needless-key", "the host asks for the events of this trigger; nobody delivers them");
            report.add(node, &fields.field(key), problem.fix(format!("remove the key {key}")));
        }
    }
}

/// `poll: { every, from }`, with what the connector declares for what is left out.
fn how(fields: &Fields<'_>, declared: &Declaration, report: &mut Report<'_>) -> (u64, Start) {
    let usual = (declared.every_s.saturating_mul(1_000), Start::default());
    let inner = fields.get("poll").and_then(|node| Fields::of(node, "trigger.poll", report));
    let Some(inner) = inner else { return usual };
    inner.only(&["every", "from"], report);
    let starts = [("now", Start::Now), ("beginning", Start::Beginning)];
    let from = inner.choice("from", &starts, report).unwrap_or_default();
    let expected = format!("a time such as 5m or 2h, at most {}", show_duration(EVERY_MS_MAX));
    let every_ms = inner.duration_within("every", &(1..=EVERY_MS_MAX), &expected, report).unwrap_or(usual.0);
    let least_ms = declared.every_s_min().saturating_mul(1_000);
    if let Some(node) = inner.get("every").filter(|_| every_ms < least_ms) {
        let expected = format!("a time from {} on, as the connector asks", show_duration(least_ms));
        report.add(node, "trigger.poll.every", wrong("every", &expected, node));
    }
    (every_ms, from)
}
