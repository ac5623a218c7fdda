//! What lies below the decision: something that carries a permitted request.
//!
//! The network is one; recorded answers are another. A transport is handed a
//! request that was decided on and that has its credential; it owes the check of
//! every address it dials, and the truth about whether anything left.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http_body::Body as _;
use model::{ConnectionId, Digest, Environment};
use policy::{Denial, Permit};
use url::Url;

use crate::body::Paced;

/// Carries permitted requests.
pub trait Transport: Send + Sync {
    /// Carries one request and gives back the head of its answer. May be dropped at
    /// any time: the caller keeps the time.
    fn send(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportError>>;
}

/// Whose request it is: nothing is shared between two owners.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) digest: Digest,
    pub(crate) environment: Environment,
    pub(crate) connection: Option<ConnectionId>,
}

/// A permitted request, ready to leave. Only this crate makes one.
pub struct Outgoing {
    pub(crate) permit: Permit,
    pub(crate) owner: Owner,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: OutgoingBody,
}

/// What is sent.
pub(crate) enum OutgoingBody {
    Whole(Bytes),
    Paced(Paced),
}

impl Outgoing {
    /// The leave to send it; its target's URL has no credential in it.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The URL to send, which may carry the credential.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The headers to send, the credential's among them.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Reads a body that comes in pieces into memory: for transports that carry nothing
    /// away.
    ///
    /// # Errors
    /// When the body does not come whole; then none of it may pass for sent.
    pub async fn hold(&mut self) -> Result<(), TransportError> {
        let OutgoingBody::Paced(body) = &mut self.body else { return Ok(()) };
        let mut whole = BytesMut::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            let frame = frame.map_err(|ended| TransportError::Broken(ended.to_string()))?;
            whole.extend_from_slice(frame.data_ref().map_or(&[][..], |piece| &piece[..]));
        }
        self.body = OutgoingBody::Whole(whole.freeze());
        Ok(())
    }

    /// The body to send; empty for one that comes in pieces.
    pub fn body(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        match &self.body {
            OutgoingBody::Whole(body) => body,
            OutgoingBody::Paced(_) => &NONE,
        }
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("permit", &self.permit).finish_non_exhaustive()
    }
}

/// The pieces of a body, decompressed, as they come; an error says what broke.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// The head of an answer, and its body to come.
pub struct Incoming {
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// Who answered.
    pub address: Option<SocketAddr>,
    /// The body.
    pub body: BodyStream,
}

impl Incoming {
    /// An answer that is there already. Headers that are none are left out.
    pub fn whole(status: u16, headers: &[(String, String)], body: Bytes) -> Self {
        let headers = headers
            .iter()
            .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?)))
            .collect();
        let body = Box::pin(futures_util::stream::iter([Ok(body)]));
        Self { status, headers, address: None, body }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// An address of the host is denied; nothing left.
    #[error("address {address} is denied")]
    Denied {
        /// The rule.
        denial: Denial,
        /// The address.
        address: SocketAddr,
    },
    /// Nothing left, for sure.
    #[error("{0}")]
    NotSent(String),
    /// Something may have left.
    #[error("{0}")]
    Broken(String),
}
