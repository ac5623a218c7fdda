//! What starts a flow, for people: in a word for lists, in lines for one flow.

use engine::{HookView, Note, Occasion, PollView, ScheduleView, SubscriptionState, SubscriptionView, TriggerView};
use serde_json::Value;

use crate::show::{duration, hang, short, time};

/// In a word or two.
pub(crate) fn word(trigger: &TriggerView) -> String {
    match trigger {
        TriggerView::Webhook(hook) => hook.hook.clone(),
        TriggerView::Poll(poll) => format!("poll of {} every {}", poll.uses, duration(poll.every_ms)),
        TriggerView::Schedule(schedule) => match schedule.next.first() {
            Some(next) => format!("{}, next {}", schedule.rhythm, next.local),
            None => schedule.rhythm.clone(),
        },
        TriggerView::Manual { .. } => "hand".to_owned(),
        TriggerView::Call { function: false, .. } => "calls".to_owned(),
        TriggerView::Call { function: true, .. } => "calls, a function".to_owned(),
    }
}

/// What to do, or to expect, after publishing.
pub(crate) fn next_step(trigger: &TriggerView, flow: &str, environment: &str) -> String {
    match trigger {
        TriggerView::Webhook(hook) => format!("  deliveries go to {} on the host's webhook address", hook.hook),
        TriggerView::Poll(poll) => format!("  {} is asked every {}", poll.uses, duration(poll.every_ms)),
        TriggerView::Schedule(schedule) => format!("  it starts at {}", listed(&schedule.next)),
        TriggerView::Manual { .. } => {
            format!("  start it: sluice flow run {flow} --environment {environment} --wait")
        }
        TriggerView::Call { .. } => format!("  call it from another flow: a step with call: {flow}"),
    }
}

/// Everything.
pub(crate) fn lines(trigger: &TriggerView) -> Vec<String> {
    match trigger {
        TriggerView::Webhook(hook) => hook_lines(hook),
        TriggerView::Poll(poll) => poll_lines(poll),
        TriggerView::Schedule(schedule) => schedule_lines(schedule),
        TriggerView::Manual { input } => {
            let mut lines = vec!["  started    by hand".to_owned()];
            lines.extend(input.iter().flat_map(form));
            lines
        }
        TriggerView::Call { function, input, output } => {
            let what = if *function { ", as a function: it only reads and computes" } else { "" };
            let mut lines = vec![format!("  started    by steps of other flows{what}")];
            lines.extend(input.iter().flat_map(form));
            lines.extend(output.iter().map(|output| format!("  returns    {}", short(output, 400))));
            lines
        }
    }
}

fn hook_lines(hook: &HookView) -> Vec<String> {
    let secret = if hook.own_secret { "the flow's own" } else { "the connection's" };
    let mut lines = vec![format!("  started    by POST {}", hook.hook), format!("  secret     {secret}")];
    lines.extend(hook.before_until_ms.map(|until_ms| {
        format!("  changed    addresses and secrets from before are good until {} at the latest", time(until_ms))
    }));
    lines.extend(hook.subscription.iter().flat_map(subscription_lines));
    lines
}

fn subscription_lines(subscription: &SubscriptionView) -> Vec<String> {
    let state = match subscription.state {
        SubscriptionState::Subscribed => "subscribed",
        SubscriptionState::Pending => "being set up",
        SubscriptionState::Failing => "failing",
        SubscriptionState::ByHand => "to be set up by hand",
    };
    let until = subscription.expires_ms.map(|at_ms| format!(", until {}", time(at_ms))).unwrap_or_default();
    let next = subscription.next_ms.map(|at_ms| format!("; seen to at {}", time(at_ms))).unwrap_or_default();
    let mut lines = vec![format!("  at service {state}{until}{next}")];
    lines.extend(
        subscription.problem.as_ref().map(|problem| format!("  problem    {}", hang(&problem.to_string(), 13))),
    );
    lines
}

fn poll_lines(poll: &PollView) -> Vec<String> {
    let ago = |at_ms: Option<u64>| at_ms.map_or_else(|| "not since the start".to_owned(), time);
    let mut lines = vec![format!("  started    by what {} finds every {}", poll.uses, duration(poll.every_ms))];
    lines.push(format!("  last poll  {}", ago(poll.last_ms)));
    lines.extend(poll.next_ms.map(|at_ms| format!("  next poll  {}", time(at_ms))));
    lines.extend(poll.last_run.as_ref().map(|run| format!("  last run   {run}")));
    if poll.failures > 0 {
        lines.push(format!("  failures   {} in a row", poll.failures));
    }
    lines.extend(poll.problem.as_ref().map(|problem| format!("  problem    {}", hang(&problem.to_string(), 13))));
    lines
}

fn schedule_lines(schedule: &ScheduleView) -> Vec<String> {
    let mut lines = vec![format!("  started    {} in {}", schedule.rhythm, schedule.zone)];
    lines.push(format!("  next       {}", listed(&schedule.next)));
    let last = schedule.last.as_ref().zip(schedule.last_run.as_ref());
    lines.push(match last {
        Some((last, run)) => format!("  last       {} as run {run}", last.local),
        None => "  last       never yet".to_owned(),
    });
    lines.push(format!("  missed     {} times; policy: {}", schedule.missed, schedule.policy.as_str()));
    lines.extend(schedule.note.as_ref().map(note));
    lines
}

/// The next times, one after the other.
pub(crate) fn listed(next: &[Occasion]) -> String {
    let times: Vec<&str> = next.iter().map(|next| next.local.as_str()).collect();
    if times.is_empty() { "no time that this host can name".to_owned() } else { times.join(", ") }
}

fn note(note: &Note) -> String {
    format!("  noticed    {}: {}", time(note.at_ms), hang(&note.problem.to_string(), 13))
}

/// The fields that a person fills in.
fn form(schema: &Value) -> Vec<String> {
    let Some(fields) = schema.get("properties").and_then(Value::as_object) else {
        return vec![format!("  input      {}", short(schema, 80))];
    };
    let required = |name: &str| {
        schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|known| known == name))
    };
    let line = |(name, field): (&String, &Value)| {
        let kind = field.get("type").map_or_else(|| "any".to_owned(), kind_words);
        let need = if required(name) { "needed" } else { "optional" };
        let title = ["title", "description"].iter().find_map(|key| field.get(*key)?.as_str());
        let title = title.map(|title| format!("  {title}")).unwrap_or_default();
        format!("  input      {name}: {kind}, {need}{title}")
    };
    fields.iter().map(line).collect()
}

fn kind_words(kind: &Value) -> String {
    match kind {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        Value::String(kind) => kind.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "any".to_owned(),
    }
}
