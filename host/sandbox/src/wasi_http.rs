//! `wasi:http` 0.2, outgoing: the same enforcement point as `fetch`, with streams.
//!
//! Owns the translation between wasmtime's types and the call's egress session, which
//! alone decides, sends, caps, scrubs and records. A request is decided on before
//! `handle` returns. Redirects are shown, not followed, as that interface promises.
//! Made when a guest first asks for any of it: most calls never do.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use egress::{BodyStream, Request, SendError, Session, Source, StreamRequest, StreamResponse};
use futures_util::{Stream, StreamExt as _};
use http::HeaderName;
use http::header::CONTENT_LENGTH;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::IoError;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, HostOutgoingRequest as _, Method, OutgoingRequest};
use wasmtime_wasi_http::{
    Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView as _,
};

use crate::state::State;

/// Headers of one `fields`, as they lie in memory: what a request may carry, and half as
/// much again for its bookkeeping. A guest may hold a thousand of them.
const FIELDS_BYTES_MAX: usize = 24 << 10;
/// The bounds that every request has to keep in the end; here, so that none is kept longer.
const METHOD_BYTES_MAX: usize = 32;
const URL_BYTES_MAX: usize = 16 << 10;
/// Host and port. 300: a name has 253 bytes at most (RFC 1035), a port 5.
const AUTHORITY_BYTES_MAX: usize = 300;
/// One write to a body, of which two are kept before the network takes them. 16 KiB: all
/// the bodies that a guest has handles for take 11 MiB.
const CHUNK_BYTES: usize = 16 << 10;
/// What a connection may take, if the guest wishes a time for the first byte alone.
const CONNECT: Duration = Duration::from_secs(10);
/// The instance in which wasmtime links its types.
const TYPES: &str = "wasi:http/types@0.2.12";

type BoxedFuture<T> = Box<dyn Future<Output = Result<T, Error>> + Send>;
type Sent = (http::Response<WasiBody>, BoxedFuture<()>);
/// What a setter answers: whether it took the value.
type Set = (Result<(), ()>,);

/// Links the outgoing half.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    // wasmtime's own looks for a type that its body streams do not fail with.
    types.func_wrap("http-error-code", http_error_code)?;
    // wasmtime's own take what has any length, and a guest may hold a thousand requests.
    types.func_wrap("[method]outgoing-request.set-method", set_method)?;
    types.func_wrap("[method]outgoing-request.set-authority", set_authority)?;
    types.func_wrap("[method]outgoing-request.set-path-with-query", set_path_with_query)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn http_error_code(
    mut store: StoreContextMut<'_, State>,
    (error,): (Resource<IoError>,),
) -> wasmtime::Result<(Option<ErrorCode>,)> {
    let view = store.data_mut().http();
    let error = view.table.get(&error)?;
    Ok((error.downcast_ref::<Error>().and_then(code_of).or_else(|| error.downcast_ref::<ErrorCode>().cloned()),))
}

fn set_method(
    mut store: StoreContextMut<'_, State>,
    (request, method): (Resource<OutgoingRequest>, Method),
) -> wasmtime::Result<Set> {
    match &method {
        Method::Other(name) if name.len() > METHOD_BYTES_MAX => Ok((Err(()),)),
        _ => Ok((store.data_mut().http().set_method(request, method)?,)),
    }
}

fn set_authority(
    mut store: StoreContextMut<'_, State>,
    (request, authority): (Resource<OutgoingRequest>, Option<String>),
) -> wasmtime::Result<Set> {
    if is_longer(authority.as_ref(), AUTHORITY_BYTES_MAX) {
        return Ok((Err(()),));
    }
    Ok((store.data_mut().http().set_authority(request, authority)?,))
}

fn set_path_with_query(
    mut store: StoreContextMut<'_, State>,
    (request, path): (Resource<OutgoingRequest>, Option<String>),
) -> wasmtime::Result<Set> {
    if is_longer(path.as_ref(), URL_BYTES_MAX) {
        return Ok((Err(()),));
    }
    Ok((store.data_mut().http().set_path_with_query(request, path)?,))
}

fn is_longer(text: Option<&String>, bytes_max: usize) -> bool {
    text.is_some_and(|text| text.len() > bytes_max)
}

/// The codes with which a body breaks off.
fn code_of(error: &Error) -> Option<ErrorCode> {
    match error {
        Error::HttpRequestDenied => Some(ErrorCode::HttpRequestDenied),
        Error::HttpResponseBodySize(bytes) => Some(ErrorCode::HttpResponseBodySize(*bytes)),
        Error::HttpResponseTimeout => Some(ErrorCode::HttpResponseTimeout),
        Error::InternalError(what) => Some(ErrorCode::InternalError(what.clone())),
        _ => None,
    }
}

/// What one guest has of `wasi:http`.
pub(crate) struct Http {
    ctx: WasiHttpCtx,
    hooks: Hooks,
}

impl Http {
    pub(crate) fn new(session: Option<Arc<Session>>) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(FIELDS_BYTES_MAX);
        Self { ctx, hooks: Hooks { session } }
    }

    pub(crate) fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { hooks: &mut self.hooks, table, ctx: &mut self.ctx }
    }
}

struct Hooks {
    /// None while a connector describes itself: then every request is denied.
    session: Option<Arc<Session>>,
}

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(self.session.as_deref(), name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        let session = self.session.clone();
        Arc::new(move |name| is_forbidden(session.as_deref(), name))
    }

    /// The host sets it, from the URL that was decided on.
    fn set_host_header(&mut self) -> bool {
        false
    }

    /// Whether a scheme may be used is for the policy to say, and to put on record.
    fn is_supported_scheme(&mut self, _scheme: &http::uri::Scheme) -> bool {
        true
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _received: BoxedFuture<()>,
    ) -> BoxedFuture<Sent> {
        let decided = match &self.session {
            Some(session) => to_request(request, options, session).and_then(|asked| session.depart(asked)),
            None => return Box::new(async { Err(Error::HttpRequestDenied) }),
        };
        Box::new(async move {
            let response = decided.map_err(to_error)?.leave().await.map_err(to_error)?;
            Ok((to_response(response)?, Box::new(async { Ok(()) }) as BoxedFuture<()>))
        })
    }
}

/// The length is the guest's word on its body, which wasmtime holds it to; the host frames.
fn is_forbidden(session: Option<&Session>, name: &HeaderName) -> bool {
    *name != CONTENT_LENGTH && session.is_some_and(|session| session.refuses_header(name.as_str()))
}

fn to_request(
    request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
    session: &Arc<Session>,
) -> Result<StreamRequest, SendError> {
    let (parts, body) = request.into_parts();
    let is_none = body.is_end_stream();
    // Made first, so that the body is drained should the request be refused.
    let pieces = Written { body: Some(body), session: session.clone() };
    let bytes = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let headers = parts.headers.iter().filter(|(name, _)| **name != CONTENT_LENGTH).map(|(name, value)| {
        let value = std::str::from_utf8(value.as_bytes())
            .map_err(|_| SendError::Invalid(format!("the value of header {name} is no text")))?;
        Ok((name.as_str().to_owned(), value.to_owned()))
    });
    let request = Request {
        method: parts.method.as_str().to_owned(),
        url: parts.uri.to_string(),
        headers: headers.collect::<Result<_, SendError>>()?,
        ..Request::default()
    };
    let empty = is_none || bytes == Some(0);
    let source: Option<Box<dyn Source>> =
        if empty { None } else { Some(Box::new(GuestBody { pieces: Some(pieces), bytes })) };
    let options = options.unwrap_or_default();
    let head = |first: Duration| first.saturating_add(options.connect_timeout.unwrap_or(CONNECT));
    Ok(StreamRequest {
        request,
        source,
        head_timeout: options.first_byte_timeout.map(head),
        idle_timeout: options.between_bytes_timeout,
        shows_redirects: true,
    })
}

/// The body that a guest writes, once.
struct GuestBody {
    pieces: Option<Written>,
    bytes: Option<u64>,
}

impl Source for GuestBody {
    fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    fn open(&mut self) -> Option<BodyStream> {
        self.pieces.take().map(|pieces| Box::pin(pieces) as BodyStream)
    }
}

/// What a guest writes, piece by piece; without trailers.
struct Written {
    /// None: it has ended.
    body: Option<WasiBody>,
    session: Arc<Session>,
}

impl Stream for Written {
    type Item = Result<Bytes, String>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(body) = &mut self.body {
            let ended = match ready!(Pin::new(body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => return Poll::Ready(Some(Ok(piece))),
                    Err(_trailers) => continue,
                },
                Some(Err(_)) => Some("the connector dropped the body before it was finished"),
                // A guest that is gone ends its body as if it had finished it.
                None => self.session.is_closed().then_some("the call ended before the body was finished"),
            };
            self.body = None;
            return Poll::Ready(ended.map(|why| Err(why.to_owned())));
        }
        Poll::Ready(None)
    }
}

impl Drop for Written {
    /// What nobody wants any more is still taken from the guest, and thrown away: a library
    /// that cannot write its body says so, and forgets to ask for the answer or the reason.
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|_| !self.session.is_closed()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Ends with the guest's end of the body, which ends with the call.
            runtime.spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
        }
    }
}

fn to_response(response: StreamResponse) -> Result<http::Response<WasiBody>, Error> {
    let frames = response.body.map(|piece| piece.map(Frame::data).map_err(to_error));
    let mut answer = http::Response::new(StreamBody::new(frames).boxed_unsync());
    *answer.status_mut() = http::StatusCode::from_u16(response.status).map_err(|_| Error::HttpProtocolError)?;
    let headers = response.headers.into_iter().filter_map(|(name, value)| {
        let value = http::HeaderValue::from_bytes(value.as_bytes()).ok()?;
        Some((name.parse::<HeaderName>().ok()?, value))
    });
    answer.headers_mut().extend(headers);
    Ok(answer)
}

/// The code that fits best; the host's own record has the whole truth.
fn to_error(error: SendError) -> Error {
    match error {
        SendError::Denied(denial) if denial.code.starts_with("address-") => Error::DestinationIpProhibited,
        SendError::Denied(_) => Error::HttpRequestDenied,
        SendError::LimitExceeded { which: "request_bytes", limit } => Error::HttpRequestBodySize(Some(limit)),
        SendError::LimitExceeded { which: "response_bytes", limit } => Error::HttpResponseBodySize(Some(limit)),
        SendError::LimitExceeded { which: "response_header_bytes", limit } => {
            Error::HttpResponseHeaderSectionSize(u32::try_from(limit).ok())
        }
        SendError::LimitExceeded { which: "wall_ms", .. } => Error::HttpResponseTimeout,
        SendError::LimitExceeded { which: "requests", .. } | SendError::RateLimited { .. } => {
            Error::ConnectionLimitReached
        }
        SendError::LimitExceeded { .. } | SendError::Invalid(_) | SendError::Unreachable(_) => {
            Error::InternalError(Some(error.to_string()))
        }
    }
}
