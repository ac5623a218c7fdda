//! What came of a call: the answer checked for form, or the failure with its cause.
//!
//! Owns the order of truth: a limit that ended the call, then what the host denied
//! or limited, then what the connector says of itself. Its words are claims: scrubbed
//! of the credential, then escaped, then cut; numbers are held to what there can be.

use std::ops::RangeInclusive;
use std::time::Duration;

use egress::Session;
use model::{Failure, FieldProblem, Limits};
use serde_json::Value;
use wasmtime::Trap;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::I32Exit;

use crate::bindings::receives::exports::sluicegate::connector::webhooks;
use crate::bindings::shared;
use crate::call::{Answer, Event};
use crate::engine::STACK_BYTES;
use crate::json;
use crate::shown;
use crate::state::State;

/// Events of one delivery. 1,000: senders batch a few hundred at most.
const EVENTS_MAX: usize = 1_000;
/// An account's name is shown in a table.
const ACCOUNT_CHARS_MAX: usize = 200;
/// Characters of any message that a connector sends along.
const MESSAGE_CHARS_MAX: usize = 4_000;
/// Fields of one failure, scopes of one failure.
const PROBLEMS_MAX: usize = 50;
/// The statuses that HTTP has (RFC 9110, 15).
const STATUSES: RangeInclusive<u16> = 100..=599;
/// A connector may ask to wait for at most a day: longer waits are for people.
const RETRY_AFTER_MS_MAX: u64 = 86_400_000;
/// What is larger never passes through a guest's memory: it is streamed. 64 MiB, the memory
/// that a call has unless its grant says otherwise.
const IN_MEMORY_MAX: u64 = 64 << 20;
/// How wasmtime says that a component has more parts than the limiter allows.
const TOO_MANY_INSTANCES: &str = "resource limit exceeded: instance count";
const TOO_MANY_TABLES: &str = "resource limit exceeded: table count";
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
            Self::Returned(Ok(value)) => match check(value, state.limits()) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            },
            Self::Returned(Err(error)) => to_failure(error, |text| state.scrub(text)),
            Self::Trapped(error) => state.trapped(&error),
            Self::TimedOut => exceeded("wall_ms", state.limits().wall_ms),
        };
        Err(state.overrule(failure))
    }
}

impl State {
    /// A guest's text as one line: without the credential, escaped, cut. In this
    /// order, so that no escape and no cut hides a part of the credential.
    pub(crate) fn line(&self, text: &str) -> String {
        shown::line(&self.scrub(text), MESSAGE_CHARS_MAX)
    }

    fn lines(&self, text: &str) -> String {
        shown::lines(&self.scrub(text), MESSAGE_CHARS_MAX)
    }

    fn scrub(&self, text: &str) -> String {
        self.session.as_ref().map_or_else(|| text.to_owned(), |session| session.scrub(text))
    }

    fn overrule(&self, claimed: Failure) -> Failure {
        if matches!(claimed, Failure::LimitExceeded { .. }) {
            return claimed;
        }
        let session = self.session.as_deref();
        let verdict = session.and_then(Session::verdict);
        let wait = || session.and_then(Session::refused_for_ms).map(rate_limited);
        let memory = || self.limiter.refused().map(|(which, limit)| exceeded(which, limit));
        verdict.or_else(|| self.refused.clone()).or_else(wait).or_else(memory).unwrap_or(claimed)
    }

    fn trapped(&self, error: &wasmtime::Error) -> Failure {
        if self.meter.exceeded() {
            return exceeded("cpu_ms", self.limits().cpu_ms);
        }
        if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
            return exceeded("stack_bytes", STACK_BYTES as u64);
        }
        if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
            return exceeded("handles", self.limits().handles);
        }
        let cause = error.root_cause().to_string();
        if cause.contains(HOST_CALL_FUEL) {
            return exceeded("host_call_bytes", host_call_bytes(self.limits()));
        }
        for (words, which, limit) in [
            (TOO_MANY_INSTANCES, "instances", self.limits().instances),
            (TOO_MANY_TABLES, "tables", self.limits().tables),
        ] {
            if cause.contains(words) {
                return exceeded(which, limit);
            }
        }
        let last_words = self.log.tail();
        let message = match error.downcast_ref::<I32Exit>() {
            _ if !last_words.is_empty() => last_words,
            Some(exit) => format!("it ended itself with exit code {}", exit.0),
            None => cause,
        };
        Failure::Crashed { message: self.lines(&message) }
    }
}

/// What one host call, or one answer, may carry from the guest: the largest body it
/// may send or return, and room for headers and fields.
pub(crate) fn host_call_bytes(limits: &Limits) -> u64 {
    let most = limits.request_bytes.max(limits.file_bytes).min(IN_MEMORY_MAX);
    most.max(limits.output_bytes) + (1 << 20)
}

pub(crate) fn exceeded(which: &str, limit: u64) -> Failure {
    Failure::LimitExceeded { which: which.to_owned(), limit }
}

fn rate_limited(wait_ms: u64) -> Failure {
    Failure::RateLimited { retry_after_ms: Some(wait_ms) }
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

pub(crate) fn check_size(bytes: usize, limits: &Limits) -> Result<(), Failure> {
    if bytes as u64 > limits.output_bytes { Err(exceeded("output_bytes", limits.output_bytes)) } else { Ok(()) }
}

pub(crate) fn check_json(path: &str, text: &str) -> Result<(), Failure> {
    json::check(text).map_err(|why| invalid(path, "a JSON document", &why))
}

pub(crate) fn invalid(path: &str, expected: &str, got: &str) -> Failure {
    let field = FieldProblem { path: path.to_owned(), expected: expected.to_owned(), got: got.to_owned() };
    Failure::InvalidOutput { fields: vec![field] }
}

fn to_failure(error: shared::Error, scrub: impl Fn(&str) -> String) -> Failure {
    let line = |text: &str| shown::line(&scrub(text), MESSAGE_CHARS_MAX);
    match error {
        shared::Error::AuthExpired => Failure::AuthExpired,
        shared::Error::AuthRevoked => Failure::AuthRevoked,
        shared::Error::MissingScopes(names) => {
            // A text that is no scope cannot be granted either; it is left out.
            let scopes = names.iter().take(PROBLEMS_MAX).filter_map(|name| name.parse().ok()).collect();
            Failure::MissingScopes { scopes }
        }
        shared::Error::RateLimited(wait_ms) => {
            Failure::RateLimited { retry_after_ms: wait_ms.map(|wait_ms| wait_ms.min(RETRY_AFTER_MS_MAX)) }
        }
        shared::Error::Transient(message) => Failure::Transient { message: line(&message) },
        shared::Error::InvalidInput(fields) => {
            let to_field = |field: shared::FieldProblem| FieldProblem {
                path: to_pointer(line(&field.path)),
                expected: line(&field.expected),
                got: line(&field.got),
            };
            Failure::InvalidInput { fields: fields.into_iter().take(PROBLEMS_MAX).map(to_field).collect() }
        }
        shared::Error::NotFound(message) => Failure::NotFound { message: line(&message) },
        shared::Error::Conflict(message) => Failure::Conflict { message: line(&message) },
        shared::Error::Remote(answer) => to_remote(answer.status, line(&answer.message)),
        shared::Error::Permanent(message) => Failure::Permanent { message: line(&message) },
        shared::Error::Other(other) => {
            Failure::Other { code: line(&other.code), details: to_details(&scrub(&other.details)) }
        }
    }
}

/// The remote's answer, if there can be such an answer.
fn to_remote(status: u16, message: String) -> Failure {
    if STATUSES.contains(&status) {
        return Failure::Remote { status, message };
    }
    let message =
        format!("the connector reported an answer with HTTP status {status}, which does not exist: {message}");
    Failure::Permanent { message }
}

/// A JSON Pointer (RFC 6901); what is none points to the whole value.
fn to_pointer(path: String) -> String {
    let escaped = path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if path.starts_with('/') && escaped { path } else { String::new() }
}

/// Details as JSON, if they are JSON and short enough; else as text.
fn to_details(details: &str) -> Value {
    let short = details.chars().nth(MESSAGE_CHARS_MAX).is_none();
    let parsed = short.then(|| serde_json::from_str(details).ok()).flatten();
    parsed.map_or_else(|| Value::String(shown::line(details, MESSAGE_CHARS_MAX)), show)
}

/// The same document, its texts escaped.
fn show(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(shown::lines(&text, MESSAGE_CHARS_MAX)),
        Value::Array(items) => items.into_iter().map(show).collect(),
        Value::Object(entries) => entries.into_iter().map(|(name, value)| (shown::clean(&name), show(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
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
        let details = Value::String("{no".to_owned());
        assert_eq!(to_failure(error, str::to_owned), Failure::Other { code: "odd".to_owned(), details });
    }

    fn told(error: shared::Error) -> Failure {
        to_failure(error, |text| text.replace("s3cret-token", "[redacted]"))
    }

    #[test]
    fn words_are_scrubbed_then_escaped_then_cut() {
        let forged = "no\n\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}";
        let escaped = "no\\n\\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{202e}".to_owned();
        let message = forged.to_owned();
        for (error, wanted) in [
            (shared::Error::Transient(message.clone()), Failure::Transient { message: escaped.clone() }),
            (shared::Error::NotFound(message.clone()), Failure::NotFound { message: escaped.clone() }),
            (shared::Error::Conflict(message.clone()), Failure::Conflict { message: escaped.clone() }),
            (shared::Error::Permanent(message.clone()), Failure::Permanent { message: escaped.clone() }),
            (
                shared::Error::Remote(shared::RemoteAnswer { status: 418, message: message.clone() }),
                Failure::Remote { status: 418, message: escaped.clone() },
            ),
            (
                shared::Error::Other(shared::OtherFailure { code: message.clone(), details: message.clone() }),
                Failure::Other { code: escaped.clone(), details: Value::String(escaped.clone()) },
            ),
        ] {
            assert_eq!(told(error), wanted);
        }
        // The cut falls into the secret: nothing of it may be left.
        let long = format!("{}s3cret-token", "x".repeat(MESSAGE_CHARS_MAX - 6));
        let Failure::Permanent { message } = told(shared::Error::Permanent(long)) else { panic!("another failure") };
        assert!(message.ends_with("x[redac") && message.chars().count() == MESSAGE_CHARS_MAX, "{message}");
    }

    #[test]
    fn details_keep_their_form_and_lose_their_controls() {
        let details = r#"{ "a\u001b": ["b\nc\u009b", 1, null] }"#.to_owned();
        let Failure::Other { details, .. } =
            told(shared::Error::Other(shared::OtherFailure { code: String::new(), details }))
        else {
            panic!("another failure")
        };
        assert_eq!(details, serde_json::json!({ "a\\u{1b}": ["b\nc\\u{9b}", 1, null] }));
    }

    #[test]
    fn numbers_are_held_to_what_there_can_be() {
        for (status, real) in [(0, false), (99, false), (100, true), (599, true), (600, false), (u16::MAX, false)] {
            let failure = told(shared::Error::Remote(shared::RemoteAnswer { status, message: "no".to_owned() }));
            match failure {
                Failure::Remote { status: told, .. } => assert!(real && told == status, "{status}"),
                Failure::Permanent { message } => assert!(!real && message.contains(&status.to_string()), "{message}"),
                other => panic!("{status}: {other:?}"),
            }
        }
        for (wait_ms, wanted) in [(None, None), (Some(5), Some(5)), (Some(u64::MAX), Some(RETRY_AFTER_MS_MAX))] {
            assert_eq!(told(shared::Error::RateLimited(wait_ms)), Failure::RateLimited { retry_after_ms: wanted });
        }
    }

    #[test]
    fn paths_are_json_pointers() {
        for (path, wanted) in [
            ("", ""),
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a~1b/~0", "/a~1b/~0"),
            ("a", ""),
            ("#/a", ""),
            ("/~", ""),
            ("/a~2", ""),
            ("/~~0", ""),
            ("/a\n", "/a\\n"),
        ] {
            let field = shared::FieldProblem { path: path.to_owned(), expected: String::new(), got: String::new() };
            let Failure::InvalidInput { fields } = told(shared::Error::InvalidInput(vec![field])) else {
                panic!("{path}")
            };
            assert_eq!(fields[0].path, wanted, "{path:?}");
        }
    }
}
