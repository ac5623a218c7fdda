//! Bodies larger than memory: the same decisions, caps, times and scrubbing, piece by piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use egress::{Request, SendError, Session, Source, StreamRequest, StreamResponse};
use futures_util::{FutureExt as _, StreamExt as _};
use model::Failure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::{Server, in_pieces, plain, redirecting};
use crate::world::{Given, World, get, with_header};

const TOKEN: &str = "a-secret-token/1+2";

/// Pieces that a connector writes; once, and of a length that it may have said.
struct Written {
    pieces: Option<Vec<Result<Bytes, String>>>,
    bytes: Option<u64>,
    endless: bool,
}

impl Source for Written {
    fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    fn open(&mut self) -> Option<std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, String>> + Send>>> {
        let pieces = futures_util::stream::iter(self.pieces.take()?);
        Some(if self.endless { pieces.chain(futures_util::stream::pending()).boxed() } else { pieces.boxed() })
    }
}

fn written(pieces: &[&'static str], bytes: Option<u64>) -> Option<Box<dyn Source>> {
    let pieces = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
    Some(Box::new(Written { pieces: Some(pieces), bytes, endless: false }))
}

fn put(source: Option<Box<dyn Source>>) -> StreamRequest {
    let request = Request { method: "PUT".to_owned(), ..get("{base-url}/thing") };
    StreamRequest { request, source, ..StreamRequest::default() }
}

async fn send(session: &Arc<Session>, asked: StreamRequest) -> Result<StreamResponse, SendError> {
    session.depart(asked)?.leave().await
}

async fn read(session: &Arc<Session>, asked: StreamRequest) -> Result<Vec<u8>, SendError> {
    let mut body = send(session, asked).await?.body;
    let mut whole = Vec::new();
    while let Some(piece) = body.next().await {
        whole.extend_from_slice(&piece?);
    }
    assert!(body.next().await.is_none(), "it stays at its end");
    Ok(whole)
}

fn asking(request: Request) -> StreamRequest {
    StreamRequest { request, ..StreamRequest::default() }
}

#[tokio::test]
async fn bodies_are_sent_in_pieces_with_their_length_if_it_is_known() {
    let (world, server) = (World::new(), plain().await);
    let session = world.session(&Given::ports(&[server.port()]).bearer(TOKEN));
    for (bytes, length, coding) in [(Some(8), "8", ""), (None, "", "chunked")] {
        let body = read(&session, put(written(&["four", "more"], bytes))).await.expect("answered");
        assert_eq!(body, b"ok");
        let seen = server.seen().pop().expect("a request");
        assert_eq!((seen.method.as_str(), &seen.body[..]), ("PUT", &b"fourmore"[..]));
        assert_eq!((seen.header("content-length"), seen.header("transfer-encoding")), (length, coding));
        assert_eq!(seen.header("authorization"), format!("Bearer {TOKEN}"));
        let record = session.records().pop().expect("a record");
        assert_eq!((record.sent_bytes, record.received_bytes, record.status, record.error), (8, 2, Some(200), None));
    }
    // An empty body of unknown length is none: a GET with one would be odd.
    let asked = StreamRequest { source: written(&[], None), ..asking(get("{base-url}/")) };
    read(&session, asked).await.expect("answered");
    let seen = server.seen().pop().expect("a request");
    assert_eq!((seen.header("content-length"), seen.header("transfer-encoding")), ("", ""));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn only_whole_bodies_arrive_whole() {
    let world = World::new();
    let broken =
        Written { pieces: Some(vec![Ok("four".into()), Err("the disk broke".into())]), bytes: None, endless: false };
    let cases: [(Option<Box<dyn Source>>, &str); 4] = [
        (Some(Box::new(broken)), "broken off: the disk broke"),
        (written(&["four"], Some(5)), "announced with 5 bytes"),
        (written(&["four", "more"], Some(5)), "announced with 5 bytes"),
        (written(&["four", "more", "!"], None), "larger than request_bytes"),
    ];
    for (source, wanted) in cases {
        let server = plain().await;
        let mut given = Given::ports(&[server.port()]);
        given.limits.request_bytes = 8;
        let session = world.session(&given);
        let error = send(&session, put(source)).await.map(|response| response.status).expect_err(wanted);
        let record = session.records().pop().expect("a record");
        assert!(record.error.as_deref().is_some_and(|error| error.contains(wanted)), "{wanted}: {record:?}");
        match wanted.contains("request_bytes") {
            true => assert_eq!(error, SendError::LimitExceeded { which: "request_bytes", limit: 8 }),
            false => assert!(error.to_string().contains(wanted), "{error}"),
        }
        assert!(server.seen().is_empty(), "{wanted}: the server took a part for the whole");
    }
    let server = plain().await;
    let mut given = Given::ports(&[server.port()]);
    given.limits.request_bytes = 4;
    let session = world.session(&given);
    let outcome = send(&session, put(written(&["fives"], Some(5)))).await.map(|response| response.status);
    assert_eq!(outcome, Err(SendError::LimitExceeded { which: "request_bytes", limit: 4 }));
    assert!(!session.sent() && server.connections() == 0, "it was known before");
}

#[tokio::test]
async fn redirects_are_shown_or_followed() {
    let (world, target) = (World::new(), plain().await);
    let first = redirecting(307, target.url("/there")).await;
    let session = world.session(&Given::ports(&[first.port(), target.port()]).bearer(TOKEN));
    let shown = StreamRequest { shows_redirects: true, ..asking(get("{base-url}/")) };
    let response = send(&session, shown).await.expect("answered");
    assert_eq!(response.status, 307);
    assert!(response.headers.contains(&("location".to_owned(), target.url("/there"))), "{:?}", response.headers);
    assert_eq!(target.connections(), 0);

    let response = send(&session, asking(get("{base-url}/"))).await.expect("answered");
    assert_eq!((response.status, response.url), (200, target.url("/there")));
    assert_eq!(target.seen()[0].header("authorization"), "", "off its origin");

    let error = send(&session, put(written(&["x"], Some(1)))).await.map(|response| response.status);
    assert!(matches!(&error, Err(SendError::Invalid(why)) if why.contains("streamed and is gone")), "{error:?}");
    assert_eq!(target.seen().len(), 1);
}

#[tokio::test]
async fn what_fetch_is_denied_streams_are_denied() {
    let (world, server, other) = (World::new(), plain().await, plain().await);
    let mut given = Given::ports(&[server.port()]).bearer(TOKEN);
    given.limits.request_bytes = 4;
    let place = server.url("");
    for request in [
        get(other.url("/")),
        get("http://localhost/"),
        get("http://169.254.169.254/latest"),
        get("http://[::ffff:127.0.0.1]/"),
        get("http://user:pass@127.0.0.1/"),
        get("ftp://127.0.0.1/"),
        get("not a url"),
        get(format!("{place}/%2e%2e/x")),
        Request { method: "TRACE".to_owned(), ..get(place.clone()) },
        Request { method: "CONNECT".to_owned(), ..get(place.clone()) },
        Request { body: "fives".into(), method: "POST".to_owned(), ..get(place.clone()) },
        with_header(get(place.clone()), "host", "evil.example"),
        with_header(get(place.clone()), "authorization", "Bearer x"),
        with_header(get(place.clone()), "range", "bytes=0-1"),
        with_header(get(place.clone()), "x-a", "b\r\nc: d"),
    ] {
        let (whole, streamed) = (world.session(&given), world.session(&given));
        let fetched = whole.send(request.clone()).await.map(|response| response.status);
        let read = send(&streamed, asking(request.clone())).await.map(|response| response.status);
        assert_eq!(read, fetched, "{request:?}");
        let plain = |session: &Session| {
            let mut records = session.records();
            records.iter_mut().for_each(|record| record.duration_ms = 0);
            (records, session.verdict(), session.sent())
        };
        let (mut read, mut fetched) = (plain(&streamed), plain(&whole));
        // An allowed answer that nobody read is no difference in what was decided.
        for records in [&mut read.0, &mut fetched.0] {
            records.iter_mut().for_each(|record| (record.error, record.received_bytes) = (None, 0));
        }
        assert_eq!(read, fetched, "{request:?}");
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_secret_is_scrubbed_wherever_the_answer_is_cut() {
    let world = World::new();
    for piece in [1, 3, 7, 19, 1_000] {
        let text = format!("<{TOKEN}> {} {TOKEN}", hex::encode(TOKEN));
        let server = Server::start(move |_| in_pieces(&[("x-echo", TOKEN)], text.as_bytes(), piece)).await;
        let session = world.session(&Given::ports(&[server.port()]).bearer(TOKEN));
        let response = send(&session, asking(get("{base-url}/"))).await.expect("answered");
        assert!(response.headers.contains(&("x-echo".to_owned(), "[redacted]".to_owned())));
        let pieces: Vec<Bytes> = response.body.map(|piece| piece.expect("read")).collect().await;
        assert_eq!(pieces.concat(), b"<[redacted]> [redacted] [redacted]", "{piece}");
    }
}

#[tokio::test]
async fn answers_are_cut_at_their_limit() {
    let world = World::new();
    let server = Server::start(|_| in_pieces(&[], &[b'a'; 1 << 20], 1_000)).await;
    let mut given = Given::ports(&[server.port()]);
    // Nothing of it is held, so the call's memory is no limit here.
    given.limits.memory_bytes = 1 << 10;
    for (limit, fits) in [(1 << 20, true), ((1 << 20) - 1, false)] {
        given.limits.response_bytes = limit;
        let session = world.session(&given);
        let outcome = read(&session, asking(get("{base-url}/"))).await.map(|body| body.len());
        let error = SendError::LimitExceeded { which: "response_bytes", limit };
        assert_eq!(outcome, if fits { Ok(1 << 20) } else { Err(error) });
        let verdict = Failure::LimitExceeded { which: "response_bytes".to_owned(), limit };
        assert_eq!(session.verdict(), (!fits).then_some(verdict));
        assert_eq!(session.records()[0].error.is_none(), fits);
    }
    let session = world.session(&given);
    let limit = given.limits.memory_bytes;
    let outcome = session.send(get("{base-url}/")).await;
    assert_eq!(outcome, Err(SendError::LimitExceeded { which: "memory_bytes", limit }), "held as a whole, it is one");
}

#[tokio::test]
async fn only_waiting_for_the_remote_counts_as_idle() {
    let idle_timeout = Duration::from_millis(60);
    let world = World::with(|options| options.idle_timeout = idle_timeout);
    let server = Server::start(|_| in_pieces(&[], b"onetwo", 3)).await;
    let session = world.session(&Given::ports(&[server.port()]));
    let mut body = send(&session, asking(get("{base-url}/"))).await.expect("answered").body;
    tokio::time::sleep(idle_timeout * 2).await;
    assert_eq!(body.next().await.expect("a piece").expect("read"), "one", "the reader took its time");

    let stuck = Server::raw(|mut stream, _, _| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    for (wish, wanted) in
        [(None, "sent nothing for 60 ms"), (Some(10), "sent nothing for 10 ms"), (Some(9_000), "60 ms")]
    {
        let session = world.session(&Given::ports(&[stuck.port()]));
        let idle_timeout = wish.map(Duration::from_millis);
        let error = read(&session, StreamRequest { idle_timeout, ..asking(get("{base-url}/")) }).await;
        assert!(matches!(&error, Err(SendError::Unreachable(why)) if why.contains(wanted)), "{error:?}");
    }
    let mut given = Given::ports(&[stuck.port()]);
    given.limits.wall_ms = 40;
    let session = world.session(&given);
    let error = read(&session, asking(get("{base-url}/"))).await;
    assert_eq!(error, Err(SendError::LimitExceeded { which: "wall_ms", limit: 40 }));
}

/// A remote that takes nothing is slow; a connector that writes nothing is not the remote's fault.
#[tokio::test]
async fn who_is_slow_with_a_body_is_told_apart() {
    let world = World::with(|options| options.first_byte_timeout = Duration::from_millis(60));
    let server = Server::raw(|mut stream, _, _| async move {
        let _ = stream.read(&mut [0; 64]).await;
        std::future::pending::<()>().await;
    })
    .await;
    let session = world.session(&Given::ports(&[server.port()]));
    let body: Vec<_> = (0..64).map(|_| Ok(Bytes::from(vec![b'a'; 100_000]))).collect();
    let source = Box::new(Written { pieces: Some(body), bytes: Some(6_400_000), endless: false });
    let error = send(&session, put(Some(source))).await.map(|response| response.status);
    assert!(matches!(&error, Err(SendError::Unreachable(why)) if why.contains("within 60 ms")), "{error:?}");

    let mut given = Given::ports(&[server.port()]);
    given.limits.wall_ms = 400;
    let session = world.session(&given);
    let source = Box::new(Written { pieces: Some(vec![Ok("half".into())]), bytes: Some(8), endless: true });
    let error = send(&session, put(Some(source))).await.map(|response| response.status);
    assert_eq!(error, Err(SendError::LimitExceeded { which: "wall_ms", limit: 400 }));
}

#[tokio::test]
async fn nothing_leaves_once_the_call_is_over() {
    let (world, server) = (World::new(), plain().await);
    let session = world.session(&Given::ports(&[server.port()]));
    let departure = session.depart(asking(get("{base-url}/"))).expect("permitted");
    session.close();
    let error = departure.leave().await.map(|response| response.status);
    assert_eq!(error, Err(SendError::Unreachable("not sent: the call is over".to_owned())));
    assert!(!session.sent() && server.connections() == 0);
    assert_eq!(session.records()[0].error.as_deref(), Some("not sent: the call is over"));
}

#[tokio::test]
async fn what_is_not_read_is_on_record() {
    let (world, server) = (World::new(), Server::start(|_| in_pieces(&[], &[b'a'; 1 << 20], 1_000)).await);
    let session = world.session(&Given::ports(&[server.port()]));
    let mut body = send(&session, asking(get("{base-url}/"))).await.expect("answered").body;
    let first = body.next().await.expect("a piece").expect("read").len();
    drop(body);
    let record = session.records().pop().expect("a record");
    assert_eq!(record.received_bytes, first as u64);
    assert_eq!(record.error.as_deref(), Some("the connector did not read the whole answer"));
    let body = send(&session, asking(get("{base-url}/"))).await.expect("answered").body;
    session.close();
    drop(body);
    let record = session.records().pop().expect("a record");
    assert_eq!(record.error.as_deref(), Some("the call ended before the answer"));
}

#[tokio::test]
async fn a_lent_secret_is_written_into_streamed_bodies() {
    let (world, server) = (World::new(), plain().await);
    let given = Given::ports(&[server.port()]).bearer(TOKEN);
    let session = world.session(&given.lending("REFERENCE", "the-hosts-secret"));
    read(&session, put(written(&["a REFE", "RENCE b"], None))).await.expect("answered");
    assert_eq!(&server.seen()[0].body[..], b"a the-hosts-secret b");
}

#[tokio::test]
async fn records_of_endless_words_are_short() {
    let (world, server) = (World::new(), plain().await);
    let session = world.session(&Given::ports(&[server.port()]));
    let long = "a".repeat(10_000);
    for request in [
        get(format!("ftp://{long}.example.com/")),
        get(format!("http://user:pass@{long}.example.com/")),
        get(server.url(&format!("/{long}"))),
        get(server.url(&format!("/{}", &long[..4_000]))),
    ] {
        let _refused_or_not = session.depart(asking(request)).map(drop);
    }
    let records = session.records();
    assert!(!records.is_empty());
    for record in records {
        let lengths = [record.method.len(), record.target.len(), record.path.len()];
        assert!(lengths[0] <= 32 && lengths[1] <= 300 && lengths[2] <= 200, "{lengths:?}");
    }
}

/// Gives as long as anybody takes, and keeps what it has until then.
struct Endless(Option<Arc<()>>);

impl Source for Endless {
    fn bytes(&self) -> Option<u64> {
        None
    }

    fn open(&mut self) -> Option<std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, String>> + Send>>> {
        let kept = self.0.take()?;
        let pieces = futures_util::stream::unfold(kept, |kept| async {
            tokio::task::yield_now().await;
            Some((Ok(Bytes::from_static(&[b'a'; 10_000])), kept))
        });
        Some(pieces.boxed())
    }
}

/// Answers before the body is there, and takes everything that still comes.
async fn greedy(answer: String) -> Server {
    Server::raw(move |mut stream, _, _| {
        let answer = answer.clone();
        async move {
            let mut block = vec![0; 64 << 10];
            let _ = stream.read(&mut block).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            while matches!(stream.read(&mut block).await, Ok(1..)) {}
        }
    })
    .await
}

/// Patience until nobody else has it.
async fn gone(kept: &Arc<()>) {
    while Arc::strong_count(kept) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_body_goes_no_further_than_its_request() {
    let (world, target) = (World::new(), plain().await);
    let early = greedy("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned()).await;
    let away = format!("HTTP/1.1 303 See Other\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url("/"));
    let away = greedy(away).await;
    for (place, ends) in [
        (early.url("/"), "is read"),
        (early.url("/"), "is dropped"),
        (early.url("/"), "is cut off by the end of the call"),
        (away.url("/"), "is a redirect"),
    ] {
        let mut given = Given::ports(&[early.port(), away.port(), target.port()]);
        given.limits.request_bytes = u64::MAX;
        let session = world.session(&given);
        let kept = Arc::new(());
        let request = Request { method: "PUT".to_owned(), ..get(place) };
        let source: Option<Box<dyn Source>> = Some(Box::new(Endless(Some(kept.clone()))));
        let mut answer = send(&session, StreamRequest { source, ..asking(request) }).await.expect("answered");
        match ends {
            "is read" => while answer.body.next().await.is_some() {},
            "is dropped" => drop(answer),
            "is cut off by the end of the call" => session.close(),
            _ => assert_eq!(answer.url, target.url("/")),
        }
        // What is counted from here on would be sent after the answer.
        let sent_bytes = session.records()[0].sent_bytes;
        gone(&kept).await;
        assert!(sent_bytes > 0 && session.records()[0].sent_bytes == sent_bytes, "the answer {ends}");
    }
}

#[tokio::test]
async fn what_was_sent_is_on_record_when_the_call_is_cut_off() {
    let (world, server) = (World::new(), greedy(String::new()).await);
    let session = world.session(&Given::ports(&[server.port()]));
    let source = Box::new(Written { pieces: Some(vec![Ok("half".into())]), bytes: Some(8), endless: true });
    let departure = session.depart(put(Some(source))).expect("permitted");
    let leaving = tokio::spawn(departure.leave());
    while session.records()[0].sent_bytes < 4 {
        tokio::task::yield_now().await;
    }
    session.close();
    let record = session.records().pop().expect("a record");
    assert_eq!((record.sent_bytes, record.error.as_deref()), (4, Some("the call ended before the answer")));
    let error = leaving.await.expect("no panic").map(|response| response.status);
    assert!(matches!(&error, Err(SendError::Unreachable(why)) if why.contains("the request ended")), "{error:?}");
}

/// Tells when it is asked for the first time.
struct Watched(Arc<AtomicBool>, Written);

impl Source for Watched {
    fn bytes(&self) -> Option<u64> {
        self.1.bytes()
    }

    fn open(&mut self) -> Option<std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, String>> + Send>>> {
        self.0.store(true, Ordering::SeqCst);
        self.1.open()
    }
}

#[tokio::test]
async fn a_body_that_is_held_is_whole_and_waits_for_its_slot() {
    let (world, server) = (World::new(), plain().await);
    let mut given = Given::ports(&[server.port()]).bearer(TOKEN);
    let lending = |given: &Given| world.session(&given.clone().lending("REFERENCE", "the-hosts-secret"));
    for pieces in [&["four"][..], &["four", "more"]] {
        let error = send(&lending(&given), put(written(pieces, Some(5)))).await.map(|response| response.status);
        assert!(
            matches!(&error, Err(SendError::Unreachable(why)) if why.contains("announced with 5 bytes")),
            "{error:?}"
        );
    }
    assert!(server.seen().is_empty());

    given.limits.concurrency = 1;
    let other = world.session(&given);
    let open = send(&other, asking(get("{base-url}/"))).await.expect("answered");
    let asked = Arc::new(AtomicBool::new(false));
    let body = Written { pieces: Some(vec![Ok("four".into())]), bytes: Some(4), endless: false };
    let departure = lending(&given).depart(put(Some(Box::new(Watched(asked.clone(), body))))).expect("permitted");
    let leaving = tokio::spawn(departure.leave());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!asked.load(Ordering::SeqCst), "what waits is not held in memory");
    drop(open);
    assert_eq!(leaving.await.expect("no panic").map(|response| response.status), Ok(200));
}

/// Who has slots does not wait for more: two calls could wait for each other.
#[tokio::test]
async fn only_the_first_request_of_a_call_waits() {
    let (world, server) = (World::new(), Server::start(|_| in_pieces(&[], &[b'a'; 1 << 20], 1_000)).await);
    let mut given = Given::ports(&[server.port()]);
    given.limits.concurrency = 2;
    let sessions = [(); 3].map(|()| world.session(&given));
    let ask = |session: &Arc<Session>| session.depart(asking(get("{base-url}/"))).expect("permitted").leave();
    let wait = || SendError::RateLimited {
        why: "the connection reached its limit concurrency = 2".to_owned(),
        retry_after_ms: 1_000,
    };
    let first = ask(&sessions[0]).await.expect("answered");
    let second = ask(&sessions[1]).await.expect("answered");
    for session in &sessions[..2] {
        let refused = ask(session).await.map(|response| response.status);
        assert_eq!(refused, Err(wait()));
    }
    let mut waiting = Box::pin(ask(&sessions[2]));
    assert!((&mut waiting).now_or_never().is_none(), "it has none, and waits");
    let refused = ask(&sessions[2]).await.map(|response| response.status);
    assert_eq!(refused, Err(wait()), "one waits already");
    drop(first);
    let third = waiting.await.expect("answered");
    drop(second);
    let fourth = ask(&sessions[2]).await.expect("there is room");
    drop((third, fourth));
    // Nothing is left behind by those that were refused or that ended.
    for session in &sessions {
        let both = [ask(session).await.expect("answered"), ask(session).await.expect("answered")];
        assert_eq!(both.map(|response| response.status), [200, 200]);
    }
    // Who gives up waiting makes room for the next one to wait.
    let held = [ask(&sessions[0]).await.expect("answered"), ask(&sessions[0]).await.expect("answered")];
    let mut given_up = Box::pin(ask(&sessions[1]));
    assert!((&mut given_up).now_or_never().is_none());
    drop(given_up);
    let mut waiting = Box::pin(ask(&sessions[1]));
    assert!((&mut waiting).now_or_never().is_none());
    drop(held);
    assert_eq!(waiting.await.map(|response| response.status), Ok(200));
}
