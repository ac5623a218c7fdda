//! Servers that keep account of what reached them.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

pub(crate) type Answer = http::Response<BoxBody<Bytes, Infallible>>;

/// A request as a server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
    /// Which of the server's connections it came by.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

#[derive(Default)]
pub(crate) struct Account {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    account: Arc<Account>,
}

impl Server {
    /// Answers every request with what `answer` makes of it.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::start_async(move |seen| {
            let answer = Arc::clone(&answer);
            async move { answer(&seen) }
        })
        .await
    }

    /// The same with answers that take their time.
    pub(crate) async fn start_async<F>(answer: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let answer = Arc::new(answer);
        Self::raw(move |stream, account, connection| {
            let answer = Arc::clone(&answer);
            async move { serve(stream, account, connection, answer).await }
        })
        .await
    }

    /// Hands every connection to `talk`.
    pub(crate) async fn raw<F>(talk: impl Fn(TcpStream, Arc<Account>, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let account = Arc::new(Account::default());
        let accepted = Arc::clone(&account);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = accepted.connections.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(talk(stream, Arc::clone(&accepted), connection));
            }
        });
        Self { address, account }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:PORT` and the path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.account.seen.lock().expect("not poisoned").clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.account.connections.load(Ordering::SeqCst)
    }
}

/// Serves HTTP/1.1 on a stream of any kind.
pub(crate) async fn serve<S, F>(
    stream: S,
    account: Arc<Account>,
    connection: usize,
    answer: Arc<impl Fn(Seen) -> F + Send + Sync + 'static>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (account, answer) = (Arc::clone(&account), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let seen = Seen {
                method: parts.method.to_string(),
                uri: parts.uri.to_string(),
                headers: parts.headers,
                body,
                connection,
            };
            account.seen.lock().expect("not poisoned").push(seen.clone());
            Ok::<_, hyper::Error>(answer(seen).await)
        }
    });
    // A client that goes away is part of several tests.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An answer with headers and a body.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut answer = http::Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Full::new(body.into()).boxed()).expect("an answer")
}

/// An answer whose body comes in pieces of `piece` bytes.
pub(crate) fn in_pieces(headers: &[(&str, &str)], body: &[u8], piece: usize) -> Answer {
    let pieces: Vec<_> = body.chunks(piece).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    let (parts, _) = answer(200, headers, Bytes::new()).into_parts();
    http::Response::from_parts(parts, BodyExt::boxed(StreamBody::new(futures_util::stream::iter(pieces))))
}

/// Answers with 200 and `ok`.
pub(crate) async fn plain() -> Server {
    Server::start(|_| answer(200, &[], "ok")).await
}

/// Answers with a redirect to `location`.
pub(crate) async fn redirecting(status: u16, location: String) -> Server {
    Server::start(move |_| answer(status, &[("location", &location)], "elsewhere")).await
}
