//! Which runs of a sequential flow form one line.

use std::sync::Arc;

use model::Failure;
use serde_json::Value;

use super::state::State;
use crate::plan::{Concurrency, Plan};
use crate::template::{Fault, Scope};

/// A key names one thing; longer ones are documents.
const KEY_BYTES_MAX: usize = 1_000;

/// What runs of a sequential flow that form one line have in common, from the event of a
/// run that has begun; none when all of them do.
///
/// # Errors
/// When the flow's key cannot be made of this event.
pub fn order_key(plan: &Plan, state: &State) -> Result<Option<String>, Failure> {
    let Concurrency::Sequential { key: Some(key) } = plan.concurrency() else { return Ok(None) };
    let wrong = |message: String| Failure::Expression { field: "concurrency.key".to_owned(), message };
    let unfit = |kind: &str| {
        let found = model::type_words(kind);
        wrong(format!(
            "expects a text, a number, true or false, got {found}; for events without, write | default('none')"
        ))
    };
    let (Some(trigger), Some(run)) = (&state.trigger, &state.run) else {
        return Err(wrong("the run has not begun".to_owned()));
    };
    let scope = Scope { plan, trigger, outputs: &Arc::default(), run, item: None, error: None };
    let value = key.eval(&scope).map_err(|Fault { message, .. }| wrong(message))?;
    let text = match value {
        Value::String(text) => text,
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Null => return Err(unfit("null")),
        Value::Array(_) => return Err(unfit("array")),
        Value::Object(_) => return Err(unfit("object")),
    };
    if text.len() > KEY_BYTES_MAX {
        return Err(wrong(format!("has {} bytes, at most {KEY_BYTES_MAX} are taken", text.len())));
    }
    Ok(Some(text))
}
