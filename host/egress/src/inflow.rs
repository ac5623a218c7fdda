//! An answer that is read piece by piece: capped, timed and scrubbed on its way.
//!
//! Its record is completed when it ends, however it ends; the slots of its request
//! are held until then. Time counts only while its reader waits for the remote.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use policy::Permit;
use tokio::time::{Instant, Sleep};

use crate::body::Body;
use crate::headers;
use crate::hop::{Hop, Waits};
use crate::message::{Response, SendError, StreamRequest};
use crate::scrub::StreamScrubber;
use crate::send::{Headed, Send, Wishes};
use crate::session::{Session, Slots};
use crate::transport::BodyStream;

/// A request that was permitted and has not left yet.
pub struct Departure {
    session: Arc<Session>,
    send: Send,
    permit: Permit,
    hop: Hop,
}

/// The head of an answer, without the credential, and its body to come.
#[derive(Debug)]
pub struct StreamResponse {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case. Without cookies and what concerns the hop alone.
    pub headers: Vec<(String, String)>,
    /// Where the answer comes from, after redirects.
    pub url: String,
    /// At most the limit `response_bytes`.
    pub body: Inflow,
}

/// The body of an answer, decompressed, without the credential. Ends after an error.
pub struct Inflow {
    session: Arc<Session>,
    hop: Hop,
    waits: Waits,
    scrubber: StreamScrubber,
    received: u64,
    /// Since the reader found nothing.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    /// None: it has ended.
    open: Option<(BodyStream, Slots)>,
}

impl Session {
    /// Decides on a request whose bodies are streamed. The decision is on record when
    /// this returns; nothing leaves before [`Departure::leave`].
    ///
    /// # Errors
    /// When it is denied, over a limit, or not valid.
    pub fn depart(self: &Arc<Self>, asked: StreamRequest) -> Result<Departure, SendError> {
        let StreamRequest { mut request, source, head_timeout, idle_timeout, shows_redirects } = asked;
        let body = std::mem::take(&mut request.body);
        let body = source.map_or(Body::Whole(body), Body::Source);
        let wishes = Wishes { head_timeout, idle_timeout, shows_redirects };
        let mut send = Send::new(self, request.timeout_ms, body, wishes);
        let (permit, hop) = send.start(self, &request)?;
        Ok(Departure { session: self.clone(), send, permit, hop })
    }
}

impl Departure {
    /// Sends the request and gives the head of the answer back.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn leave(self) -> Result<StreamResponse, SendError> {
        let Self { session, mut send, permit, hop } = self;
        let Headed { incoming, hop, slots } = send.run(&session, permit, hop).await?;
        let scrubber = session.scrubber();
        let mut headers = headers::show(&incoming.headers, scrubber);
        if !scrubber.is_idle() {
            // Its length is not known before all of it was scrubbed.
            headers.retain(|(name, _)| name != "content-length");
        }
        let url = session.scrub(hop.target.url().as_str());
        let body = Inflow {
            scrubber: StreamScrubber::default(),
            waits: send.waits,
            received: 0,
            timer: None,
            waiting: false,
            open: Some((incoming.body, slots)),
            hop,
            session,
        };
        Ok(StreamResponse { status: incoming.status, headers, url, body })
    }
}

impl StreamResponse {
    /// The whole answer, in memory: at most the limits `response_bytes` and
    /// `memory_bytes`.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn whole(self) -> Result<Response, SendError> {
        let Self { status, headers, url, mut body } = self;
        let bytes_max = body.session.spec.limits.memory_bytes;
        let mut whole = BytesMut::new();
        while let Some(piece) = body.next().await {
            whole.extend_from_slice(&piece?);
            if whole.len() as u64 > bytes_max {
                body.end();
                return Err(body.session.too_large(&body.hop, "memory_bytes", bytes_max));
            }
        }
        Ok(Response { status, headers, body: whole.freeze(), url })
    }
}

impl std::fmt::Debug for Departure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Departure").field("permit", &self.permit).finish_non_exhaustive()
    }
}

impl Inflow {
    /// The next piece of the remote's, counted; none at its end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, SendError>> {
        let Some((body, _)) = &mut self.open else { return Poll::Ready(Ok(None)) };
        let Poll::Ready(piece) = body.as_mut().poll_next(context) else {
            ready!(self.poll_timer(context));
            let late = Instant::now() >= self.waits.end;
            let (session, hop, waits) = (&self.session, &self.hop, &self.waits);
            return Poll::Ready(Err(if late { session.late(hop, waits) } else { session.idle(hop, waits) }));
        };
        self.waiting = false;
        Poll::Ready(match piece {
            Some(Ok(piece)) => self.count(piece).map(Some),
            Some(Err(reason)) => Err(self.session.broke_off(&self.hop, &reason)),
            None => Ok(None),
        })
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, SendError> {
        self.received = self.received.saturating_add(piece.len() as u64);
        let limit = self.session.spec.limits.response_bytes;
        if self.received > limit {
            return Err(self.session.too_large(&self.hop, "response_bytes", limit));
        }
        if Instant::now() >= self.waits.end {
            return Err(self.session.late(&self.hop, &self.waits));
        }
        Ok(piece)
    }

    /// Ready when the remote gave nothing for too long.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let until = || (Instant::now() + self.waits.idle).min(self.waits.end);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until())));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(until());
        }
        timer.as_mut().poll(context)
    }

    /// Ends it, and what is still sent of the request; its record says how much came.
    fn end(&mut self) {
        self.hop.stop();
        self.open = None;
        let received = self.received;
        self.session.ledger.update(self.hop.entry, |record| record.received_bytes = received);
    }
}

impl Stream for Inflow {
    type Item = Result<Bytes, SendError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while this.open.is_some() {
            let clean = match ready!(this.poll_piece(context)) {
                Ok(Some(piece)) => this.scrubber.push(this.session.scrubber(), piece),
                Ok(None) => {
                    this.hop.stop();
                    this.session.finish(&this.hop, |record| record.error = None);
                    this.end();
                    this.scrubber.finish(this.session.scrubber())
                }
                Err(error) => {
                    this.end();
                    return Poll::Ready(Some(Err(error)));
                }
            };
            if !clean.is_empty() {
                return Poll::Ready(Some(Ok(clean)));
            }
        }
        Poll::Ready(None)
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        if self.open.is_none() {
            return;
        }
        let reason = match self.session.is_closed() {
            true => "the call ended before the answer",
            false => "the connector did not read the whole answer",
        };
        self.session.fail(&self.hop, reason);
        self.end();
    }
}

impl std::fmt::Debug for Inflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflow").field("received", &self.received).finish_non_exhaustive()
    }
}
