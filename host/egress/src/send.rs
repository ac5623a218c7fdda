//! One request and its redirects, from the connector's words to the scrubbed answer.
//!
//! The order is fixed: count, parse, decide, record, check the rest, wait for a
//! slot, place the credential, send. Each redirect goes through all of it again.

use bytes::Bytes;
use http::HeaderMap;
use model::{AccessRecord, Failure, Target};
use policy::{Denial, Permit};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::asked;
use crate::collect::{Bounds, Cut, collect};
use crate::gate::retry_at_ms;
use crate::headers;
use crate::ledger::Entry;
use crate::message::{Request, Response, SendError};
use crate::placement;
use crate::redirect::{self, Next, REDIRECTS_MAX};
use crate::session::Session;
use crate::size;
use crate::transport::{Incoming, Outgoing, TransportError};

/// Enough to recognise a path; the rest is in the connector's own log.
const PATH_CHARS_MAX: usize = 200;
/// What a record says until its request is over.
const UNFINISHED: &str = "the call ended before the answer";

/// One request on its way, from the first decision to the last answer.
pub(crate) struct Send<'a> {
    session: &'a Session,
    headers: HeaderMap,
    body: Bytes,
    end: Instant,
    /// The connector's own wish ends the request, rather than a limit of the call.
    ends_by_wish: bool,
    timeout_ms: u64,
    /// Off the first origin the credential is never sent again.
    crossed: bool,
}

/// A decided request under way.
struct Hop {
    entry: Entry,
    started: Instant,
    target: Target,
}

impl<'a> Send<'a> {
    pub(crate) fn new(session: &'a Session, request: &Request) -> Self {
        let (now, limits) = (Instant::now(), &session.spec.limits);
        let wish_ms = request.timeout_ms.map_or(u64::MAX, u64::from);
        let most = session.spec.deadline.min(now + std::time::Duration::from_millis(limits.wall_ms));
        let wish = now + std::time::Duration::from_millis(wish_ms.min(limits.wall_ms));
        Self {
            session,
            headers: HeaderMap::new(),
            body: request.body.clone(),
            end: most.min(wish),
            ends_by_wish: wish < most,
            timeout_ms: if wish < most { wish_ms } else { limits.wall_ms },
            crossed: false,
        }
    }

    pub(crate) async fn run(mut self, request: &Request) -> Result<Response, SendError> {
        self.count()?;
        size::line_exceeds(request).map_or(Ok(()), |(which, limit)| Err(self.limit(which, limit)))?;
        let target = asked::target(&request.method, &request.url, self.session.authority());
        let target = target.inspect_err(|error| self.refuse_unparsed(request, error))?;
        let (permit, hop) = self.decide(target)?;
        self.check(request, &hop)?;
        let _slots = self.slots(&hop).await?;
        let (mut permit, mut hop) = (permit, hop);
        for _ in 0..=REDIRECTS_MAX {
            let incoming = self.exchange(permit, &hop).await?;
            let target = &hop.target;
            let Some(next) = redirect::next(incoming.status, &incoming.headers, &target.method, target.url()) else {
                return self.finish(incoming, &hop).await;
            };
            self.close(&hop, |record| record.error = None);
            (permit, hop) = self.follow(next, &hop)?;
        }
        self.close(&hop, |record| record.error = Some("not sent: too many redirects".to_owned()));
        Err(self.limit("redirects", REDIRECTS_MAX))
    }

    fn count(&self) -> Result<(), SendError> {
        let most = self.session.spec.limits.requests;
        if self.session.ledger.count_request() > most { Err(self.limit("requests", most)) } else { Ok(()) }
    }

    fn limit(&self, which: &'static str, limit: u64) -> SendError {
        self.session.ledger.judge(Failure::LimitExceeded { which: which.to_owned(), limit });
        SendError::LimitExceeded { which, limit }
    }

    /// Decides, and enters the decision before anything else can happen.
    fn decide(&self, target: Target) -> Result<(Permit, Hop), SendError> {
        let record = self.record(&target.method, target.origin(), &target.path);
        let started = Instant::now();
        match self.session.authority().decide(target.clone()) {
            Ok(permit) => {
                let rule = permit.rule().to_owned();
                let error = Some(UNFINISHED.to_owned());
                let entry = self.session.ledger.enter(AccessRecord { allowed: true, rule, error, ..record });
                Ok((permit, Hop { entry, started, target }))
            }
            Err(denial) => {
                self.deny(record, &denial);
                Err(SendError::Denied(denial))
            }
        }
    }

    fn deny(&self, record: AccessRecord, denial: &Denial) {
        let session = self.session;
        session.ledger.judge(denial.to_failure());
        let record = AccessRecord { rule: denial.rule.clone(), fix: Some(denial.fix.clone()), ..record };
        session.trace(&record);
        session.ledger.enter(record);
    }

    fn record(&self, method: &str, target: String, path: &str) -> AccessRecord {
        let path: String = path.chars().take(PATH_CHARS_MAX).collect();
        AccessRecord {
            at_ms: (self.session.egress.clock)(),
            method: method.to_owned(),
            target,
            path: self.session.scrub(&path),
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

    fn refuse_unparsed(&self, request: &Request, error: &SendError) {
        if let SendError::Denied(denial) = error {
            let method: String = request.method.chars().take(20).collect();
            self.deny(self.record(&method, asked::origin_of(&request.url), ""), denial);
        }
    }

    /// Completes the record of a hop.
    fn close(&self, hop: &Hop, change: impl FnOnce(&mut AccessRecord)) {
        let duration_ms = u64::try_from(hop.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.session.ledger.update(hop.entry, |record| {
            record.duration_ms = duration_ms;
            change(record);
            self.session.trace(record);
        });
    }

    fn fail(&self, hop: &Hop, reason: &str) {
        let reason = self.session.scrub(reason);
        self.close(hop, |record| record.error = Some(reason));
    }

    /// What is checked of a request that the policy allows.
    fn check(&mut self, request: &Request, hop: &Hop) -> Result<(), SendError> {
        let spec = &self.session.spec;
        if placement::has_its_parameter(&spec.credential, hop.target.url()) {
            let reason = "the query has the parameter that carries the credential; the host places it";
            self.fail(hop, reason);
            return Err(SendError::Invalid(reason.to_owned()));
        }
        if let Some((which, limit)) = size::headers_exceed(&request.headers) {
            self.fail(hop, &format!("not sent: its headers exceed {which} = {limit}"));
            return Err(self.limit(which, limit));
        }
        self.headers = headers::parse(&request.headers, &spec.credential).inspect_err(|error| {
            self.fail(hop, &error.to_string());
        })?;
        let bytes = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        if bytes > spec.limits.request_bytes {
            self.fail(hop, "not sent: the body is larger than request_bytes");
            return Err(self.limit("request_bytes", spec.limits.request_bytes));
        }
        Ok(())
    }

    async fn slots(&self, hop: &Hop) -> Result<crate::session::Slots, SendError> {
        let refused = |retry_after_ms| {
            self.fail(hop, &format!("not sent: the next request may be sent in {retry_after_ms} ms"));
            SendError::RateLimited { retry_after_ms }
        };
        self.session.take_leave().map_err(refused)?;
        // Every slot was taken all the time: a second later one may be free.
        timeout_at(self.end, self.session.take_slots()).await.map_err(|_| refused(1_000))
    }

    async fn exchange(&mut self, permit: Permit, hop: &Hop) -> Result<Incoming, SendError> {
        let outgoing = self.prepare(permit, hop)?;
        let session = self.session;
        let sent_bytes = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        let head_end = Instant::now() + session.egress.options.first_byte_timeout;
        session.ledger.leaving();
        let answer = timeout_at(head_end.min(self.end), session.egress.transport.send(outgoing)).await;
        let incoming = match answer {
            Err(_) if head_end < self.end => {
                let waited_ms = session.egress.options.first_byte_timeout.as_millis();
                return Err(self.no_answer(hop, &format!("did not begin to answer within {waited_ms} ms")));
            }
            Err(_) => return Err(self.late(hop)),
            Ok(Err(error)) => return Err(self.lost(hop, error)),
            Ok(Ok(incoming)) => incoming,
        };
        session.ledger.update(hop.entry, |record| {
            record.status = Some(incoming.status);
            record.address = incoming.address.map(|address| address.to_string());
            record.sent_bytes = sent_bytes;
        });
        if let Some(at_ms) = retry_at_ms(incoming.status, &incoming.headers, (session.egress.clock)()) {
            session.close_until(at_ms);
        }
        if headers::too_large(&incoming.headers) {
            self.fail(hop, "the head of the answer is too large");
            let most = u64::try_from(headers::RESPONSE_BYTES_MAX).unwrap_or(u64::MAX);
            return Err(self.limit("response_header_bytes", most));
        }
        Ok(incoming)
    }

    fn prepare(&self, permit: Permit, hop: &Hop) -> Result<Outgoing, SendError> {
        let mut headers = self.headers.clone();
        let mut url = permit.target().url().clone();
        let agent = concat!("sluicegate/", env!("CARGO_PKG_VERSION"));
        headers.entry(http::header::USER_AGENT).or_insert(http::HeaderValue::from_static(agent));
        let mut body = self.body.clone();
        if permit.may_carry_credential() && !self.crossed {
            body = self.session.fill(&body);
            placement::place(&self.session.spec.credential, &mut headers, &mut url).map_err(|reason| {
                self.fail(hop, &reason);
                SendError::Invalid(reason)
            })?;
        }
        Ok(Outgoing { permit, owner: self.session.owner(), url, headers, body })
    }

    /// The transport's reason, without the secret.
    fn lost(&self, hop: &Hop, error: TransportError) -> SendError {
        match error {
            TransportError::Denied { denial, address } => {
                self.session.ledger.did_not_leave();
                self.session.ledger.judge(denial.to_failure());
                self.close(hop, |record| {
                    record.allowed = false;
                    record.rule = denial.rule.clone();
                    record.fix = Some(denial.fix.clone());
                    record.address = Some(address.to_string());
                    record.error = None;
                });
                SendError::Denied(denial)
            }
            TransportError::NotSent(reason) => {
                self.session.ledger.did_not_leave();
                self.unreachable(hop, &reason)
            }
            TransportError::Broken(reason) => self.unreachable(hop, &reason),
        }
    }

    fn unreachable(&self, hop: &Hop, reason: &str) -> SendError {
        self.fail(hop, reason);
        SendError::Unreachable(self.session.scrub(reason))
    }

    fn no_answer(&self, hop: &Hop, what: &str) -> SendError {
        let origin = hop.target.origin();
        self.unreachable(hop, &format!("{origin} {what}; likely cause: the service is slow or overloaded"))
    }

    /// The whole time is over: the connector's own, or the call's.
    fn late(&self, hop: &Hop) -> SendError {
        let what = format!("did not answer within {} ms", self.timeout_ms);
        let error = self.no_answer(hop, &what);
        if self.ends_by_wish { error } else { self.limit("wall_ms", self.session.spec.limits.wall_ms) }
    }

    /// Decides on a redirect and turns the request into the next one.
    fn follow(&mut self, next: Next, from: &Hop) -> Result<(Permit, Hop), SendError> {
        self.count()?;
        let session = self.session;
        let target = Target::of(&next.method, next.url.clone()).map_err(|error| {
            let denial = asked::unspeakable(&error);
            self.deny(self.record(&next.method, asked::origin_of(next.url.as_str()), ""), &denial);
            SendError::Denied(denial)
        })?;
        if target.origin() != from.target.origin() {
            self.crossed = true;
            headers::keep_neutral(&mut self.headers);
        }
        if self.crossed && carries_secret(session, &next.url) {
            let denial = secret_in_redirect(&target);
            self.deny(self.record(&target.method, target.origin(), ""), &denial);
            return Err(SendError::Denied(denial));
        }
        if !next.keeps_body {
            self.body = Bytes::new();
            headers::drop_content(&mut self.headers);
        }
        let decided = self.decide(target)?;
        session.charge();
        Ok(decided)
    }

    async fn finish(self, incoming: Incoming, hop: &Hop) -> Result<Response, SendError> {
        let session = self.session;
        if headers::is_encoded(&incoming.headers) {
            let origin = hop.target.origin();
            return Err(self.unreachable(hop, &format!("{origin} answered in an encoding that was not asked for")));
        }
        let bytes_max = session.spec.limits.response_bytes;
        let bounds = Bounds { bytes_max, idle: session.egress.options.idle_timeout, end: self.end };
        let mut received = 0;
        let collected = collect(incoming.body, &bounds, &mut received).await;
        session.ledger.update(hop.entry, |record| record.received_bytes = received);
        let body = collected.map_err(|cut| match cut {
            Cut::TooLarge => {
                self.fail(hop, "the answer is larger than response_bytes");
                self.limit("response_bytes", bytes_max)
            }
            Cut::Idle => self.no_answer(hop, &format!("sent nothing for {} ms", bounds.idle.as_millis())),
            Cut::Late => self.late(hop),
            Cut::Broken(reason) => self.unreachable(hop, &format!("{} broke off: {reason}", hop.target.origin())),
        })?;
        self.close(hop, |record| record.error = None);
        let scrubber = session.scrubber();
        let mut headers = headers::show(&incoming.headers, scrubber);
        let body = match scrubber.bytes(&body) {
            std::borrow::Cow::Borrowed(_) => body,
            std::borrow::Cow::Owned(scrubbed) => {
                headers.retain(|(name, _)| name != "content-length");
                scrubbed.into()
            }
        };
        let url = session.scrub(hop.target.url().as_str());
        Ok(Response { status: incoming.status, headers, body, url })
    }
}

fn carries_secret(session: &Session, url: &Url) -> bool {
    session.scrubber().meets(url.as_str())
}

fn secret_in_redirect(target: &Target) -> Denial {
    Denial {
        code: "credential-in-redirect",
        what: format!("the redirect to {} may not be followed", target.origin()),
        rule: "a redirect to another origin carries the connection's credential in its URL".to_owned(),
        fix: "report it to the service; a credential never leaves for another origin".to_owned(),
    }
}
