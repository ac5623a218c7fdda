//! What starts a flow, for people: in a word for lists, in lines for one flow.

use engine::{Note, Occasion, ScheduleView, TriggerView};
use serde_json::Value;

use crate::show::{hang, short, time};

/// In a word or two.
pub(crate) fn word(trigger: &TriggerView) -> String {
    match trigger {
        TriggerView::Webhook { hook } => hook.clone(),
        TriggerView::Schedule(schedule) => match schedule.next.first() {
            Some(next) => format!("{}, next {}", schedule.rhythm, next.local),
            None => schedule.rhythm.clone(),
        },
        TriggerView::Manual { .. } => "hand".to_owned(),
    }
}

/// What to do, or to expect, after publishing.
pub(crate) fn next_step(trigger: &TriggerView, flow: &str, environment: &str) -> String {
    match trigger {
        TriggerView::Webhook { hook } => format!("  deliveries go to {hook} on the host's webhook address"),
        TriggerView::Schedule(schedule) => format!("  it starts at {}", listed(&schedule.next)),
        TriggerView::Manual { .. } => {
            format!("  start it: sluice flow run {flow} --environment {environment} --wait")
        }
    }
}

/// Everything.
pub(crate) fn lines(trigger: &TriggerView) -> Vec<String> {
    match trigger {
        TriggerView::Webhook { hook } => vec![format!("  started    by POST {hook}")],
        TriggerView::Schedule(schedule) => schedule_lines(schedule),
        TriggerView::Manual { input } => {
            let mut lines = vec!["  started    by hand".to_owned()];
            lines.extend(input.iter().flat_map(form));
            lines
        }
    }
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
