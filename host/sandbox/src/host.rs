//! The host's side of `fetch`, `context` and `log`.
//!
//! Passes on: decisions and sizes are egress's and policy's. A refusal is an ordinary
//! answer to the guest, never a trap.

use std::time::Instant;

use bytes::Bytes;
use egress::{Request, SendError};

use crate::bindings::{context, fetch, log};
use crate::log::LogLevel;
use crate::state::State;

/// What a connector hears when it reaches out while it describes itself.
pub(crate) const DESCRIBING: (&str, &str) =
    ("a connector has no capability while it describes itself", "reach outside only in operations");

impl fetch::Host for State {
    async fn send(&mut self, request: fetch::Request) -> Result<fetch::Response, fetch::FetchError> {
        let session = self.session.as_ref().ok_or_else(describing)?;
        match session.send(to_request(request)).await {
            Ok(response) => Ok(fetch::Response {
                status: response.status,
                headers: response.headers,
                body: response.body.into(),
                url: response.url,
            }),
            Err(error) => Err(to_answer(error)),
        }
    }
}

/// The denial of whoever reaches out while it describes itself.
pub(crate) fn describing() -> fetch::FetchError {
    let (rule, fix) = DESCRIBING;
    fetch::FetchError::Denied(fetch::Denial { rule: rule.to_owned(), fix: fix.to_owned() })
}

pub(crate) fn to_answer(error: SendError) -> fetch::FetchError {
    match error {
        SendError::Denied(denial) => fetch::FetchError::Denied(fetch::Denial { rule: denial.rule, fix: denial.fix }),
        SendError::LimitExceeded { which, limit } => {
            fetch::FetchError::LimitExceeded(fetch::Limit { which: which.to_owned(), limit })
        }
        // The contract has no case for it: to the guest nothing was reached, to
        // the engine it is a wait, whatever the guest makes of it.
        SendError::RateLimited { .. } => fetch::FetchError::Unreachable(error.to_string()),
        SendError::Invalid(reason) => fetch::FetchError::InvalidRequest(reason),
        SendError::Unreachable(reason) => fetch::FetchError::Unreachable(reason),
    }
}

pub(crate) fn to_request(request: fetch::Request) -> Request {
    let fetch::Request { method, url, headers, body, timeout_ms } = request;
    let body = match body {
        fetch::Body::Empty => Bytes::new(),
        fetch::Body::Text(text) => Bytes::from(text),
        fetch::Body::Bytes(bytes) => Bytes::from(bytes),
    };
    Request { method, url, headers, body, timeout_ms }
}

impl context::Host for State {
    fn current(&mut self) -> context::Call {
        let call = self.context.clone();
        context::Call {
            flow: call.flow,
            run: call.run,
            step: call.step,
            attempt: call.attempt,
            idempotency_key: call.idempotency_key,
            environment: call.environment,
            connection: call.connection.map(|connection| context::Connection {
                label: connection.label,
                base_url: connection.base_url,
                scopes: connection.scopes,
            }),
        }
    }

    fn remaining_ms(&mut self) -> u64 {
        if self.session.is_none() {
            // The same in both descriptions.
            return self.limits().wall_ms;
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.log.with(|log, offset_ms| log.line(offset_ms, level, &message, &fields));
    }
}
