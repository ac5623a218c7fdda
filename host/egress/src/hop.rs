//! One decided request under way: its record, and how it ends.
//!
//! Owns the words that records and refusals use. Every ending scrubs what it says and
//! completes the record before anybody hears of it.

use std::sync::Arc;
use std::time::Duration;

use model::{AccessRecord, Failure, Target};
use policy::{Denial, Permit};
use tokio::time::Instant;

use crate::body::Pace;
use crate::ledger::Entry;
use crate::message::SendError;
use crate::session::Session;
use crate::size;

/// Enough to recognise a path; the rest is in the connector's own log.
const PATH_CHARS_MAX: usize = 200;
/// Longer methods are in no use, and longer origins are no names: such requests are denied.
const METHOD_CHARS_MAX: usize = 32;
const TARGET_CHARS_MAX: usize = 300;
/// What a record says until its request is over.
const UNFINISHED: &str = "the call ended before the answer";

/// A decided request under way. Its body goes no further than it.
pub(crate) struct Hop {
    pub(crate) entry: Entry,
    pub(crate) started: Instant,
    pub(crate) target: Target,
    /// Of a body that is sent in pieces.
    pub(crate) pace: Option<Arc<Pace>>,
}

impl Hop {
    /// Nothing more of its body is sent.
    pub(crate) fn stop(&self) {
        if let Some(pace) = &self.pace {
            pace.stop();
        }
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How long to wait, and whose wish that is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    /// Until the head of the answer.
    pub(crate) head: Duration,
    /// Between two pieces of the answer.
    pub(crate) idle: Duration,
    /// Everything is over by then.
    pub(crate) end: Instant,
    /// The connector's own wish ends the request, rather than a limit of the call.
    pub(crate) ends_by_wish: bool,
    pub(crate) timeout_ms: u64,
}

impl Session {
    /// Decides, and enters the decision before anything else can happen.
    pub(crate) fn decide(&self, target: Target) -> Result<(Permit, Hop), SendError> {
        if let Some((which, limit)) = size::target_exceeds(&target, &self.spec.limits) {
            return Err(self.limit(which, limit));
        }
        let record = self.draft(&target.method, target.origin(), &target.path);
        let started = Instant::now();
        match self.authority().decide(target.clone()) {
            Ok(permit) => {
                let rule = permit.rule().to_owned();
                let error = Some(UNFINISHED.to_owned());
                let entry = self.ledger.enter(AccessRecord { allowed: true, rule, error, ..record });
                Ok((permit, Hop { entry, started, target, pace: None }))
            }
            Err(denial) => Err(self.deny(record, denial)),
        }
    }

    /// Enters a denial. Its words are scrubbed: they may name where a service has led.
    pub(crate) fn deny(&self, record: AccessRecord, denial: Denial) -> SendError {
        let Denial { code, what, rule, fix } = denial;
        let denial = Denial { code, what: self.scrub(&what), rule: self.scrub(&rule), fix: self.scrub(&fix) };
        self.ledger.judge(denial.to_failure());
        let record = AccessRecord { rule: denial.rule.clone(), fix: Some(denial.fix.clone()), ..record };
        self.trace(&record);
        self.ledger.enter(record);
        SendError::Denied(denial)
    }

    /// A record of nothing yet.
    pub(crate) fn draft(&self, method: &str, target: String, path: &str) -> AccessRecord {
        // Scrubbed first: of a secret that was cut nothing would be recognised.
        let cut = |text: &str, chars_max: usize| self.scrub(text).chars().take(chars_max).collect::<String>();
        AccessRecord {
            at_ms: (self.egress.clock)(),
            method: cut(method, METHOD_CHARS_MAX),
            target: cut(&target, TARGET_CHARS_MAX),
            path: cut(path, PATH_CHARS_MAX),
            allowed: false,
            rule: String::new(),
            fix: None,
            address: None,
            status: None,
            error: None,
            sent_bytes: 0,
            received_bytes: 0,
            duration_ms: 0,
        }
    }

    /// Completes the record of a hop.
    pub(crate) fn finish(&self, hop: &Hop, change: impl FnOnce(&mut AccessRecord)) {
        let duration_ms = u64::try_from(hop.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ledger.update(hop.entry, |record| {
            record.duration_ms = duration_ms;
            if let Some(pace) = &hop.pace {
                record.sent_bytes = pace.sent();
            }
            change(record);
            self.trace(record);
        });
    }

    pub(crate) fn fail(&self, hop: &Hop, reason: &str) {
        let reason = self.scrub(reason);
        self.finish(hop, |record| record.error = Some(reason));
    }

    pub(crate) fn limit(&self, which: &'static str, limit: u64) -> SendError {
        self.ledger.judge(Failure::LimitExceeded { which: which.to_owned(), limit });
        SendError::LimitExceeded { which, limit }
    }

    pub(crate) fn unreachable(&self, hop: &Hop, reason: &str) -> SendError {
        self.fail(hop, reason);
        SendError::Unreachable(self.scrub(reason))
    }

    pub(crate) fn no_answer(&self, hop: &Hop, what: &str) -> SendError {
        let origin = hop.target.origin();
        self.unreachable(hop, &format!("{origin} {what}; likely cause: the service is slow or overloaded"))
    }

    /// The whole time is over: the connector's own, or the call's.
    pub(crate) fn late(&self, hop: &Hop, waits: &Waits) -> SendError {
        let what = format!("did not answer within {} ms", waits.timeout_ms);
        let error = self.no_answer(hop, &what);
        if waits.ends_by_wish { error } else { self.limit("wall_ms", self.spec.limits.wall_ms) }
    }

    /// Nothing came for too long in the middle of an answer.
    pub(crate) fn idle(&self, hop: &Hop, waits: &Waits) -> SendError {
        self.no_answer(hop, &format!("sent nothing for {} ms", waits.idle.as_millis()))
    }

    pub(crate) fn broke_off(&self, hop: &Hop, reason: &str) -> SendError {
        self.unreachable(hop, &format!("{} broke off: {reason}", hop.target.origin()))
    }

    pub(crate) fn too_large(&self, hop: &Hop, which: &'static str, limit: u64) -> SendError {
        self.fail(hop, &format!("the answer is larger than {which}"));
        self.limit(which, limit)
    }
}
