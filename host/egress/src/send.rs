//! One request and its redirects, from the connector's words to the head of the answer.
//!
//! The order is fixed: count, parse, decide, record, check the rest, wait for a
//! slot, look at the body, place the credential, send. Each redirect goes through all of it again.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use model::Target;
use policy::{Denial, Permit};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::asked;
use crate::body::{Body, Ended, Paced, Source, wrong_length};
use crate::collect::{Bounds, Cut, collect};
use crate::gate::retry_at_ms;
use crate::headers;
use crate::hop::{Hop, Waits};
use crate::message::{Request, Response, SendError};
use crate::placement;
use crate::redirect::{self, Next, REDIRECTS_MAX};
use crate::session::{Session, Slots};
use crate::size;
use crate::transport::{BodyStream, Incoming, Outgoing, OutgoingBody, TransportError};

/// A streamed body into which the host writes a secret is held as a whole first. 1 MiB:
/// requests that set up webhooks have a few hundred bytes.
const FILLED_BYTES_MAX: u64 = 1 << 20;

/// What a connector may wish beside its request; clamped to what the host allows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    pub(crate) head_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    /// Redirects are answers like others.
    pub(crate) shows_redirects: bool,
}

/// One request on its way, from the first decision to the last answer.
pub(crate) struct Send {
    headers: HeaderMap,
    body: Body,
    pub(crate) waits: Waits,
    shows_redirects: bool,
    /// Off the first origin the credential is never sent again.
    crossed: bool,
}

/// The head of the last answer, and the request that it answers.
pub(crate) struct Headed {
    pub(crate) incoming: Incoming,
    pub(crate) hop: Hop,
    /// Held until the answer is read.
    pub(crate) slots: Slots,
}

/// A body of unknown length, of which the beginning is there.
struct Begun(Option<BodyStream>);

impl Source for Begun {
    fn bytes(&self) -> Option<u64> {
        None
    }

    fn open(&mut self) -> Option<BodyStream> {
        self.0.take()
    }
}

impl Send {
    pub(crate) fn new(session: &Session, timeout_ms: Option<u32>, body: Body, wishes: Wishes) -> Self {
        let (now, limits) = (Instant::now(), &session.spec.limits);
        let wish_ms = timeout_ms.map_or(u64::MAX, u64::from);
        let most = session.spec.deadline.min(now + Duration::from_millis(limits.wall_ms));
        let wish = now + Duration::from_millis(wish_ms.min(limits.wall_ms));
        let options = &session.egress.options;
        let clamp = |wish: Option<Duration>, most: Duration| wish.map_or(most, |wish| wish.min(most));
        let waits = Waits {
            head: clamp(wishes.head_timeout, options.first_byte_timeout),
            idle: clamp(wishes.idle_timeout, options.idle_timeout),
            end: most.min(wish),
            ends_by_wish: wish < most,
            timeout_ms: if wish < most { wish_ms } else { limits.wall_ms },
        };
        Self { headers: HeaderMap::new(), body, waits, shows_redirects: wishes.shows_redirects, crossed: false }
    }

    /// Everything that is decided before anything can wait. `request.body` is not looked at.
    pub(crate) fn start(&mut self, session: &Session, request: &Request) -> Result<(Permit, Hop), SendError> {
        count(session)?;
        size::line_exceeds(request, &session.spec.limits)
            .map_or(Ok(()), |(which, limit)| Err(session.limit(which, limit)))?;
        let target = asked::target(&request.method, &request.url, session.authority());
        let target = target.map_err(|error| refuse_unparsed(session, request, error))?;
        let (permit, hop) = session.decide(target)?;
        self.check(session, request, &hop)?;
        Ok((permit, hop))
    }

    /// Sends what was decided, and follows its redirects.
    pub(crate) async fn run(&mut self, session: &Session, permit: Permit, hop: Hop) -> Result<Headed, SendError> {
        let slots = take_slots(session, &hop, &self.waits).await?;
        // With slots: as many bodies are held in memory as requests may be under way.
        self.settle_body(session, &hop).await?;
        let (mut permit, mut hop) = (permit, hop);
        for _ in 0..=REDIRECTS_MAX {
            let incoming = self.exchange(session, permit, &mut hop).await?;
            let target = &hop.target;
            let next = redirect::next(incoming.status, &incoming.headers, &target.method, target.url());
            let Some(next) = next.filter(|_| !self.shows_redirects) else {
                check_encoding(session, &incoming, &hop)?;
                return Ok(Headed { incoming, hop, slots });
            };
            hop.stop();
            session.finish(&hop, |record| record.error = None);
            (permit, hop) = self.follow(session, next, &hop)?;
        }
        session.finish(&hop, |record| record.error = Some("not sent: too many redirects".to_owned()));
        Err(session.limit("redirects", REDIRECTS_MAX))
    }

    /// What is checked of a request that the policy allows.
    fn check(&mut self, session: &Session, request: &Request, hop: &Hop) -> Result<(), SendError> {
        let spec = &session.spec;
        if placement::has_its_parameter(&spec.credential, hop.target.url()) {
            let reason = "the query has the parameter that carries the credential; the host places it";
            session.fail(hop, reason);
            return Err(SendError::Invalid(reason.to_owned()));
        }
        if let Some((which, limit)) = size::headers_exceed(&request.headers, &spec.limits) {
            session.fail(hop, &format!("not sent: its headers exceed {which} = {limit}"));
            return Err(session.limit(which, limit));
        }
        self.headers = headers::parse(&request.headers, &spec.credential).inspect_err(|error| {
            session.fail(hop, &error.to_string());
        })?;
        if self.body.bytes().is_some_and(|bytes| bytes > spec.limits.request_bytes) {
            return Err(body_too_large(session, hop));
        }
        Ok(())
    }

    /// Waits until it is known of a streamed body whether it is one: the empty body of a
    /// `GET` is none. One into which the host may have to write is held as a whole.
    async fn settle_body(&mut self, session: &Session, hop: &Hop) -> Result<(), SendError> {
        let Body::Source(source) = &mut self.body else { return Ok(()) };
        if source.bytes().is_some() && !session.lends() {
            return Ok(());
        }
        let announced = source.bytes();
        let Some(mut pieces) = source.open() else { return Err(no_second_body(session, hop)) };
        if session.lends() {
            let held = hold(session, hop, pieces, &self.waits).await?;
            if let Some(bytes) = announced.filter(|bytes| *bytes != held.len() as u64) {
                return Err(session.unreachable(hop, &format!("not sent: {}", wrong_length(bytes))));
            }
            self.body = Body::Whole(held);
            return Ok(());
        }
        let first = timeout_at(self.waits.end, pieces.next()).await.map_err(|_| session.late(hop, &self.waits))?;
        self.body = match first {
            None => Body::Whole(Bytes::new()),
            Some(Err(reason)) => return Err(session.unreachable(hop, &format!("not sent: {reason}"))),
            Some(first) => Body::Source(Box::new(Begun(Some(stream::iter([first]).chain(pieces).boxed())))),
        };
        Ok(())
    }

    async fn exchange(&mut self, session: &Session, permit: Permit, hop: &mut Hop) -> Result<Incoming, SendError> {
        let outgoing = self.prepare(session, permit, hop)?;
        if !session.ledger.leaving() {
            return Err(session.unreachable(hop, "not sent: the call is over"));
        }
        let incoming = await_head(session, outgoing, hop, &self.waits).await?;
        let sent_bytes = hop.pace.as_ref().map_or_else(|| self.body.bytes().unwrap_or(0), |pace| pace.sent());
        session.ledger.update(hop.entry, |record| {
            record.status = Some(incoming.status);
            record.address = incoming.address.map(|address| address.to_string());
            record.sent_bytes = sent_bytes;
        });
        if let Some(at_ms) = retry_at_ms(incoming.status, &incoming.headers, (session.egress.clock)()) {
            session.close_until(at_ms);
        }
        if let Some((which, limit)) = size::answer_exceeds(&incoming.headers, &session.spec.limits) {
            session.fail(hop, "the head of the answer is too large");
            return Err(session.limit(which, limit));
        }
        Ok(incoming)
    }

    fn prepare(&mut self, session: &Session, permit: Permit, hop: &mut Hop) -> Result<Outgoing, SendError> {
        let mut headers = self.headers.clone();
        let mut url = permit.target().url().clone();
        let agent = concat!("sluicegate/", env!("CARGO_PKG_VERSION"));
        headers.entry(http::header::USER_AGENT).or_insert(http::HeaderValue::from_static(agent));
        let places = permit.may_carry_credential() && !self.crossed;
        if places {
            placement::place(&session.spec.credential, &mut headers, &mut url).map_err(|reason| {
                session.fail(hop, &reason);
                SendError::Invalid(reason)
            })?;
        }
        let body = match &mut self.body {
            Body::Whole(body) if places => OutgoingBody::Whole(session.fill(body)),
            Body::Whole(body) => OutgoingBody::Whole(body.clone()),
            Body::Source(source) => {
                let (Some(pieces), bytes) = (source.open(), source.bytes()) else {
                    return Err(no_second_body(session, hop));
                };
                let body = Paced::new(pieces, bytes, session.spec.limits.request_bytes);
                session.ledger.watch(hop.entry, body.pace());
                hop.pace = Some(body.pace());
                OutgoingBody::Paced(body)
            }
        };
        Ok(Outgoing { permit, owner: session.owner(), url, headers, body })
    }

    /// Decides on a redirect and turns the request into the next one.
    fn follow(&mut self, session: &Session, next: Next, from: &Hop) -> Result<(Permit, Hop), SendError> {
        count(session)?;
        let target = Target::of(&next.method, next.url.clone()).map_err(|error| {
            let record = session.draft(&next.method, asked::origin_of(next.url.as_str()), "");
            session.deny(record, asked::unspeakable(&error))
        })?;
        if target.origin() != from.target.origin() {
            self.crossed = true;
            headers::keep_neutral(&mut self.headers);
        }
        if self.crossed && carries_secret(session, &next.url) {
            let record = session.draft(&target.method, target.origin(), "");
            return Err(session.deny(record, secret_in_redirect(&target)));
        }
        if !next.keeps_body {
            self.body = Body::Whole(Bytes::new());
            headers::drop_content(&mut self.headers);
        }
        let decided = session.decide(target)?;
        session.charge();
        Ok(decided)
    }
}

/// The whole answer, in memory.
pub(crate) async fn gather(session: &Session, headed: Headed, waits: &Waits) -> Result<Response, SendError> {
    let Headed { incoming, hop, slots: _slots } = headed;
    let limits = &session.spec.limits;
    // More than the call's memory could not be handed over anyway.
    let (which, bytes_max) = match limits.response_bytes > limits.memory_bytes {
        true => ("memory_bytes", limits.memory_bytes),
        false => ("response_bytes", limits.response_bytes),
    };
    let bounds = Bounds { bytes_max, idle: waits.idle, end: waits.end };
    let mut received = 0;
    let collected = collect(incoming.body, &bounds, &mut received).await;
    session.ledger.update(hop.entry, |record| record.received_bytes = received);
    let body = collected.map_err(|cut| match cut {
        Cut::TooLarge => session.too_large(&hop, which, bytes_max),
        Cut::Idle => session.idle(&hop, waits),
        Cut::Late => session.late(&hop, waits),
        Cut::Broken(reason) => session.broke_off(&hop, &reason),
    })?;
    session.finish(&hop, |record| record.error = None);
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

async fn take_slots(session: &Session, hop: &Hop, waits: &Waits) -> Result<Slots, SendError> {
    let refused = |(why, retry_after_ms): (String, u64)| {
        let error = SendError::RateLimited { why, retry_after_ms };
        session.fail(hop, &error.to_string());
        session.ledger.refuse_for(retry_after_ms);
        error
    };
    session.take_leave().map_err(refused)?;
    // Every slot was taken all the time, or is, while the call has slots already: a second
    // later one may be free.
    let slots = timeout_at(waits.end, session.take_slots()).await.ok().flatten();
    slots.ok_or_else(|| refused((session.why_no_slots(), 1_000)))
}

async fn hold(session: &Session, hop: &Hop, pieces: BodyStream, waits: &Waits) -> Result<Bytes, SendError> {
    let bytes_max = session.spec.limits.request_bytes.min(FILLED_BYTES_MAX);
    let idle = waits.end.saturating_duration_since(Instant::now());
    let bounds = Bounds { bytes_max, idle, end: waits.end };
    collect(pieces, &bounds, &mut 0).await.map_err(|cut| match cut {
        Cut::TooLarge => body_too_large(session, hop),
        Cut::Idle | Cut::Late => session.late(hop, waits),
        Cut::Broken(reason) => session.unreachable(hop, &format!("not sent: {reason}")),
    })
}

async fn await_head(session: &Session, outgoing: Outgoing, hop: &Hop, waits: &Waits) -> Result<Incoming, SendError> {
    let began = Instant::now();
    let patience = || hop.pace.as_ref().map_or(began + waits.head, |pace| pace.patience(waits.head));
    let mut answer = pin!(session.egress.transport.send(outgoing));
    loop {
        let head_end = patience();
        match timeout_at(head_end.min(waits.end), &mut answer).await {
            Ok(answer) => return answer.map_err(|error| lost(session, hop, error)),
            Err(_) if waits.end <= head_end => return Err(session.late(hop, waits)),
            // The body went on meanwhile.
            Err(_) if patience() > Instant::now() => {}
            Err(_) => {
                let waited_ms = waits.head.as_millis();
                return Err(session.no_answer(hop, &format!("did not begin to answer within {waited_ms} ms")));
            }
        }
    }
}

fn count(session: &Session) -> Result<(), SendError> {
    let most = session.spec.limits.requests;
    if session.ledger.count_request() > most { Err(session.limit("requests", most)) } else { Ok(()) }
}

fn check_encoding(session: &Session, incoming: &Incoming, hop: &Hop) -> Result<(), SendError> {
    if !headers::is_encoded(&incoming.headers) {
        return Ok(());
    }
    let origin = hop.target.origin();
    Err(session.unreachable(hop, &format!("{origin} answered in an encoding that was not asked for")))
}

fn refuse_unparsed(session: &Session, request: &Request, error: SendError) -> SendError {
    match error {
        SendError::Denied(denial) => {
            session.deny(session.draft(&request.method, asked::origin_of(&request.url), ""), denial)
        }
        other => other,
    }
}

/// The transport's reason, without the secret.
fn lost(session: &Session, hop: &Hop, error: TransportError) -> SendError {
    match error {
        TransportError::Denied { denial, address } => {
            session.ledger.did_not_leave();
            session.ledger.judge(denial.to_failure());
            session.finish(hop, |record| {
                record.allowed = false;
                record.rule = denial.rule.clone();
                record.fix = Some(denial.fix.clone());
                record.address = Some(address.to_string());
                record.error = None;
            });
            SendError::Denied(denial)
        }
        TransportError::NotSent(reason) => {
            session.ledger.did_not_leave();
            session.unreachable(hop, &reason)
        }
        TransportError::Broken(reason) => match hop.pace.as_ref().and_then(|pace| pace.cut()) {
            Some(Ended::TooLarge) => {
                session.fail(hop, "broken off: the body is larger than request_bytes");
                session.limit("request_bytes", session.spec.limits.request_bytes)
            }
            Some(Ended::Broken(own)) => session.unreachable(hop, &format!("broken off: {own}")),
            None => session.unreachable(hop, &reason),
        },
    }
}

fn body_too_large(session: &Session, hop: &Hop) -> SendError {
    session.fail(hop, "not sent: the body is larger than request_bytes");
    session.limit("request_bytes", session.spec.limits.request_bytes)
}

fn no_second_body(session: &Session, hop: &Hop) -> SendError {
    let reason = "the redirect asks for the body again, which was streamed and is gone";
    session.fail(hop, &format!("not sent: {reason}"));
    SendError::Invalid(reason.to_owned())
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
