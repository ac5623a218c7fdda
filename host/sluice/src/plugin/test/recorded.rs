//! Recorded answers in place of the network: a transport below the decision.
//!
//! Every request that comes here was permitted. It is compared with the one that
//! the sample expects next; differences are noted, and the recorded answer given.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use egress::{Incoming, Outgoing, Transport, TransportError};
use futures_util::future::BoxFuture;
use serde_json::Value;
use url::Url;

use super::compare::differences;
use super::sample::{Exchange, Expected, Recorded, bytes};

/// The exchanges that are still to come, and what was wrong so far.
pub(super) struct Tape {
    base_url: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    to_come: VecDeque<Exchange>,
    number: usize,
    wrong: Vec<String>,
}

impl Tape {
    pub(super) fn new(base_url: Option<String>, exchanges: VecDeque<Exchange>) -> Self {
        Self { base_url, state: Mutex::new(State { to_come: exchanges, ..State::default() }) }
    }

    /// What was wrong, requests that did not come among it.
    pub(super) fn differences(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let not_made = |exchange: &Exchange| {
            format!(
                "the expected request {} {} was not made",
                exchange.request.method,
                self.resolve(&exchange.request.url)
            )
        };
        state.wrong.iter().cloned().chain(state.to_come.iter().map(not_made)).collect()
    }

    fn resolve(&self, url: &str) -> String {
        match (url.strip_prefix("{base-url}"), &self.base_url) {
            (Some(rest), Some(base)) => format!("{}{rest}", base.trim_end_matches('/')),
            _ => url.to_owned(),
        }
    }

    fn play(&self, outgoing: &Outgoing) -> Result<Incoming, TransportError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.number += 1;
        let (number, target) = (state.number, outgoing.permit().target());
        let Some(exchange) = state.to_come.pop_front() else {
            state.wrong.push(format!("request {number}, {} {}, is not in the sample", target.method, target.url()));
            return Err(TransportError::NotSent("the sample expects no further request".to_owned()));
        };
        let found = self.compare(&exchange.request, outgoing);
        state.wrong.extend(found.into_iter().map(|difference| format!("request {number}: {difference}")));
        answer(exchange.response)
    }

    fn compare(&self, expected: &Expected, outgoing: &Outgoing) -> Vec<String> {
        let target = outgoing.permit().target();
        let mut wrong = Vec::new();
        let wanted = self.resolve(&expected.url);
        if !expected.method.eq_ignore_ascii_case(&target.method) || !same_url(&wanted, target.url()) {
            wrong.push(format!("expected {} {wanted}, got {} {}", expected.method, target.method, target.url()));
        }
        for (name, wanted) in &expected.headers {
            let found = outgoing
                .headers()
                .get(name.as_str())
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            if found.as_ref() != Some(wanted) {
                let found = found.unwrap_or_else(|| "none".to_owned());
                wrong.push(format!("expected the header {name}: {wanted}, got {found}"));
            }
        }
        if let Some(wanted) = &expected.body {
            wrong.extend(differences("body", wanted, &body_value(outgoing.body())));
        }
        wrong
    }
}

fn same_url(wanted: &str, got: &Url) -> bool {
    Url::parse(wanted).is_ok_and(|wanted| wanted == *got)
}

/// JSON when it is JSON, else a text; null for none.
fn body_value(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}

fn answer(recorded: Recorded) -> Result<Incoming, TransportError> {
    match recorded {
        Recorded::Unreachable { unreachable } => Err(TransportError::Broken(unreachable)),
        Recorded::Answer { status, headers, body } => {
            let headers: Vec<(String, String)> = headers.into_iter().collect();
            Ok(Incoming::whole(status, &headers, bytes(&body).into()))
        }
    }
}

impl Transport for Tape {
    fn send(&self, mut outgoing: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportError>> {
        Box::pin(async move {
            outgoing.hold().await?;
            self.play(&outgoing)
        })
    }
}
