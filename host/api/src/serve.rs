//! Listening: connections in, requests to a router, and an orderly end.
//!
//! Bounded: so many connections at once, so long for a request's head, so much memory
//! for all bodies. A request keeps its connection's place until its work is done, even
//! when its sender is gone. Over the Unix socket every request carries who the peer is, by the kernel's word.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::auth::Caller;
use crate::budget::Budget;

/// Connections of one listener at the same time; further ones wait in the kernel.
/// 4,096: some 40 MiB, and far more senders than deliver at once.
const CONNECTIONS_MAX: usize = 4_096;
/// From accepting to a request's head, also between two requests. 30 s.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// A request's head: 64 KiB, more than any sender's.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// After a failed accept, such as too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Where requests come from.
pub enum Listener {
    /// The network.
    Tcp(TcpListener),
    /// Processes of this machine; names the peer, or turns it away.
    Unix(UnixListener, fn(&UnixStream) -> Option<Caller>),
}

/// Serves until `stop` becomes true; returns when the last answer is out.
pub async fn serve(listener: Listener, router: Router, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let budget = Budget::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = accept(&listener, &places) => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, caller, place)) => {
                let known = Known { caller, place: Place(Arc::new(place)), budget: budget.clone() };
                connections.spawn(connection(stream, known, router.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One of the connections that there may be at once.
#[derive(Clone)]
pub(crate) struct Place(#[expect(dead_code, reason = "held, never looked at")] Arc<OwnedSemaphorePermit>);

/// What the requests of a connection are told about it.
struct Known {
    caller: Option<Caller>,
    place: Place,
    budget: Budget,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Accepted = (Box<dyn Stream>, Option<Caller>, OwnedSemaphorePermit);

async fn accept(listener: &Listener, places: &Arc<Semaphore>) -> io::Result<Accepted> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream), None, place))
        }
        Listener::Unix(listener, peer) => loop {
            let (stream, _) = listener.accept().await?;
            match peer(&stream) {
                Some(caller) => return Ok((Box::new(stream), Some(caller), place)),
                None => tracing::warn!("another user's process was turned away from the socket"),
            }
        },
    }
}

async fn connection(stream: Box<dyn Stream>, known: Known, router: Router, mut stop: watch::Receiver<bool>) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert(known.place.clone());
        extensions.insert(known.budget.clone());
        if let Some(caller) = &known.caller {
            extensions.insert(caller.clone());
        }
        router.clone().oneshot(request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Until it is time to stop, or nobody is left to say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Asks a router in process, in the name of `caller`.
///
/// # Errors
/// When the answer's body cannot be read, which in process does not happen.
pub async fn call(router: Router, caller: Caller, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
    let mut request = request.map(Body::from);
    request.extensions_mut().insert(caller);
    let answered: Result<_, Infallible> = router.oneshot(request).await;
    let (parts, body) = match answered {
        Ok(response) => response.into_parts(),
        Err(never) => match never {},
    };
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Response::from_parts(parts, body))
}
