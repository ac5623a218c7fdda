//! What came of a call: the answer checked for form, or the failure with its cause.
//!
//! Owns the order of truth: a limit that ended the call, then what the host denied
//! or limited, then what the connector says of itself.

use std::time::Duration;

use model::{Failure, FieldProblem, Limits};
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use crate::bindings::receives::exports::sluicegate::connector::webhooks;
use crate::bindings::shared;
use crate::call::{Answer, Event};
use crate::engine::STACK_BYTES;
use crate::json;
use crate::state::State;

/// Events of one delivery. 1,000: senders batch a few hundred at most.
const EVENTS_MAX: usize = 1_000;
/// An account's name is shown in a table.
const ACCOUNT_CHARS_MAX: usize = 200;
/// Characters of any message that a connector sends along.
const MESSAGE_CHARS_MAX: usize = 4_000;
/// Fields of one failure, scopes of one failure.
const PROBLEMS_MAX: usize = 50;
/// How wasmtime says that a guest passed more than `set_hostcall_fuel` allows.
const HOST_CALL_FUEL: &str = "fuel allocated for hostcalls has been exhausted";

/// How a guest's function ended.
pub(crate) enum Ended<T> {
    /// It returned.
    Returned(Result<T, shared::Error>),
    /// It trapped, or could not be started.
    Trapped(wasmtime::Error),
    /// The deadline came first.
    TimedOut,
}

impl<T> Ended<T> {
    /// The answer, or the failure with the host's record put first.
    pub(crate) fn judge(
        self,
        state: &State,
        check: impl FnOnce(T, &Limits) -> Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        let failure = match self {
            Self::Returned(Ok(value)) => match check(value, &state.limits) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            },
            Self::Returned(Err(error)) => to_failure(error, |text| state.scrub(text)),
            Self::Trapped(error) => state.trapped(&error),
            Self::TimedOut => exceeded("wall_ms", state.limits.wall_ms),
        };
        Err(state.overrule(failure))
    }
}

impl State {
    /// The text without the credential, cut.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let cut: String = text.chars().take(MESSAGE_CHARS_MAX).collect();
        self.session.as_ref().map_or(cut.clone(), |session| session.scrub(&cut))
    }

    fn overrule(&self, claimed: Failure) -> Failure {
        if matches!(claimed, Failure::LimitExceeded { .. }) {
            return claimed;
        }
        let verdict = self.session.as_ref().and_then(egress::Session::verdict);
        let memory = || self.limiter.refused().then(|| exceeded("memory_bytes", self.limits.memory_bytes));
        verdict.or_else(|| self.refused.clone()).or_else(memory).unwrap_or(claimed)
    }

    fn trapped(&self, error: &wasmtime::Error) -> Failure {
        if self.meter.exceeded() {
            return exceeded("cpu_ms", self.limits.cpu_ms);
        }
        if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
            return exceeded("stack_bytes", STACK_BYTES as u64);
        }
        let cause = error.root_cause().to_string();
        if cause.contains(HOST_CALL_FUEL) {
            return exceeded("host_call_bytes", host_call_bytes(&self.limits));
        }
        let last_words = self.log.with(|log, _| log.tail());
        let message = match error.downcast_ref::<I32Exit>() {
            _ if !last_words.is_empty() => last_words,
            Some(exit) => format!("it ended itself with exit code {}", exit.0),
            None => cause,
        };
        Failure::Crashed { message: self.scrub(&message) }
    }
}

/// What one host call, or one answer, may carry from the guest: the largest body it
/// may send or return, and room for headers and fields.
pub(crate) fn host_call_bytes(limits: &Limits) -> u64 {
    limits.request_bytes.max(limits.output_bytes).max(limits.file_bytes.min(64 << 20)) + (1 << 20)
}

pub(crate) fn exceeded(which: &str, limit: u64) -> Failure {
    Failure::LimitExceeded { which: which.to_owned(), limit }
}

/// The wall time of a call.
pub(crate) fn wall(limits: &Limits) -> Duration {
    Duration::from_millis(limits.wall_ms)
}

/// An action's output: JSON within its limit.
pub(crate) fn check_output(output: String, limits: &Limits) -> Result<Answer, Failure> {
    check_size(output.len(), limits)?;
    check_json("", &output)?;
    Ok(Answer::Output(output))
}

/// A trigger's events: few enough, each JSON, within the limit together.
pub(crate) fn check_events(events: Vec<webhooks::Event>, limits: &Limits) -> Result<Answer, Failure> {
    if events.len() > EVENTS_MAX {
        return Err(invalid("", &format!("at most {EVENTS_MAX} events"), &format!("{}", events.len())));
    }
    let key_bytes = |event: &webhooks::Event| event.dedupe_key.as_ref().map_or(0, String::len);
    check_size(events.iter().map(|event| event.payload.len() + key_bytes(event)).sum(), limits)?;
    for (index, event) in events.iter().enumerate() {
        check_json(&format!("/{index}"), &event.payload)?;
    }
    let to_event = |event: webhooks::Event| Event { dedupe_key: event.dedupe_key, payload: event.payload };
    Ok(Answer::Events(events.into_iter().map(to_event).collect()))
}

/// An account's name: one short line.
pub(crate) fn check_account(label: String, _limits: &Limits) -> Result<Answer, Failure> {
    let plain = !label.trim().is_empty() && !label.chars().any(char::is_control);
    if plain && label.chars().count() <= ACCOUNT_CHARS_MAX {
        return Ok(Answer::Account(label));
    }
    let shown: String = label.chars().take(40).flat_map(char::escape_debug).collect();
    Err(invalid("", "an account's name: one line of at most 200 characters", &format!("\"{shown}\"")))
}

fn check_size(bytes: usize, limits: &Limits) -> Result<(), Failure> {
    if bytes as u64 > limits.output_bytes { Err(exceeded("output_bytes", limits.output_bytes)) } else { Ok(()) }
}

fn check_json(path: &str, text: &str) -> Result<(), Failure> {
    json::check(text).map_err(|why| invalid(path, "a JSON document", &why))
}

fn invalid(path: &str, expected: &str, got: &str) -> Failure {
    let field = FieldProblem { path: path.to_owned(), expected: expected.to_owned(), got: got.to_owned() };
    Failure::InvalidOutput { fields: vec![field] }
}

fn to_failure(error: shared::Error, scrub: impl Fn(&str) -> String) -> Failure {
    match error {
        shared::Error::AuthExpired => Failure::AuthExpired,
        shared::Error::AuthRevoked => Failure::AuthRevoked,
        shared::Error::MissingScopes(names) => {
            // A text that is no scope cannot be granted either; it is left out.
            let scopes = names.iter().take(PROBLEMS_MAX).filter_map(|name| name.parse().ok()).collect();
            Failure::MissingScopes { scopes }
        }
        shared::Error::RateLimited(retry_after_ms) => Failure::RateLimited { retry_after_ms },
        shared::Error::Transient(message) => Failure::Transient { message: scrub(&message) },
        shared::Error::InvalidInput(fields) => {
            let to_field = |field: shared::FieldProblem| FieldProblem {
                path: scrub(&field.path),
                expected: scrub(&field.expected),
                got: scrub(&field.got),
            };
            Failure::InvalidInput { fields: fields.into_iter().take(PROBLEMS_MAX).map(to_field).collect() }
        }
        shared::Error::NotFound(message) => Failure::NotFound { message: scrub(&message) },
        shared::Error::Conflict(message) => Failure::Conflict { message: scrub(&message) },
        shared::Error::Remote(answer) => Failure::Remote { status: answer.status, message: scrub(&answer.message) },
        shared::Error::Permanent(message) => Failure::Permanent { message: scrub(&message) },
        shared::Error::Other(other) => {
            let details = scrub(&other.details);
            let details = serde_json::from_str(&details).unwrap_or(serde_json::Value::String(details));
            Failure::Other { code: scrub(&other.code), details }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_checked_for_form() {
        let limits = Limits { output_bytes: 20, ..Limits::default() };
        let event = |payload: &str| webhooks::Event { dedupe_key: None, payload: payload.to_owned() };
        assert!(check_output("{\"a\":1}".to_owned(), &limits).is_ok());
        assert!(matches!(check_output("{".to_owned(), &limits), Err(Failure::InvalidOutput { .. })));
        assert_eq!(check_output("1".repeat(21), &limits), Err(exceeded("output_bytes", 20)));
        assert!(check_events(vec![event("{}"), event("[]")], &limits).is_ok());
        assert!(
            matches!(check_events(vec![event("{}"), event("x")], &limits), Err(Failure::InvalidOutput { fields }) if fields[0].path == "/1")
        );
        assert_eq!(check_events(vec![event("[1,2,3,4]"); 3], &limits), Err(exceeded("output_bytes", 20)));
        assert!(matches!(check_events(vec![event(""); 1_001], &limits), Err(Failure::InvalidOutput { .. })));
        for (label, ok) in [("octocat on github.com", true), ("", false), (" ", false), ("a\nb", false)] {
            assert_eq!(check_account(label.to_owned(), &limits).is_ok(), ok, "{label:?}");
        }
        assert!(check_account("x".repeat(201), &limits).is_err());
    }

    #[test]
    fn bad_scope_names_are_tolerated() {
        let error = shared::Error::MissingScopes(vec!["chat:write".to_owned(), "two words".to_owned(), String::new()]);
        let scopes = vec!["chat:write".parse().expect("a scope")];
        assert_eq!(to_failure(error, str::to_owned), Failure::MissingScopes { scopes });
    }

    #[test]
    fn details_that_are_no_json_are_kept_as_text() {
        let error = shared::Error::Other(shared::OtherFailure { code: "odd".to_owned(), details: "{no".to_owned() });
        let details = serde_json::Value::String("{no".to_owned());
        assert_eq!(to_failure(error, str::to_owned), Failure::Other { code: "odd".to_owned(), details });
    }
}
