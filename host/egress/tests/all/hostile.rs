//! Servers that do by hand what no honest one does: slow, endless, or far too much.
//! Each ends bounded in time and memory, with an outcome that says what it was.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use egress::{Response, SendError, Session};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::server::Server;
use crate::world::{Given, World, get};

/// What a server does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Say(Bytes),
    /// Says it byte by byte, a few milliseconds apart, and does not stop.
    Drip(&'static [u8]),
    /// Says it over and over.
    Forever(Bytes),
    /// Says nothing more, and stays.
    Stay,
}

/// Says this.
pub(crate) fn say(text: impl Into<Bytes>) -> Step {
    Step::Say(text.into())
}

/// Does the steps, then closes.
pub(crate) async fn perform(stream: &mut (impl AsyncWrite + Unpin), steps: &[Step]) -> std::io::Result<()> {
    for step in steps {
        match step {
            Step::Say(bytes) => stream.write_all(bytes).await?,
            Step::Drip(bytes) => {
                for byte in bytes.iter().cycle() {
                    stream.write_all(&[*byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            }
            Step::Forever(bytes) => loop {
                stream.write_all(bytes).await?;
                tokio::task::yield_now().await;
            },
            Step::Stay => std::future::pending().await,
        }
    }
    stream.flush().await?;
    stream.shutdown().await
}

/// A server that waits for a request, then does the steps.
pub(crate) async fn doing(steps: Vec<Step>) -> Server {
    Server::raw(move |mut stream, _, _| {
        let steps = steps.clone();
        async move {
            let mut request = [0; 4096];
            // Whoever has enough goes away: that is the point.
            if matches!(stream.read(&mut request).await, Ok(1..)) {
                let _ = perform(&mut stream, &steps).await;
            }
        }
    })
    .await
}

/// How long nobody should have to wait, on a machine however busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks once, under a small limit for answers; it ends, whatever the server does.
async fn ask(
    world: &World,
    server: &Server,
    change: impl FnOnce(&mut Given),
) -> (Arc<Session>, Result<Response, SendError>) {
    let mut given = Given::ports(&[server.port()]);
    given.limits.response_bytes = 64 << 10;
    change(&mut given);
    let session = world.session(&given);
    let outcome = tokio::time::timeout(PATIENCE, session.send(get("{base-url}/"))).await.expect("it ends");
    (session, outcome)
}

fn impatient() -> World {
    World::with(|options| {
        options.first_byte_timeout = Duration::from_millis(150);
        options.idle_timeout = Duration::from_secs(30);
    })
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let world = impatient();
    for (name, steps) in [
        ("nothing", vec![Step::Stay]),
        ("half a line", vec![say("HTTP/1.1 2"), Step::Stay]),
        ("a dripping line", vec![Step::Drip(b"HTTP/1.1 200 OK............................................")]),
        ("dripping headers", vec![say(OK), Step::Drip(b"x-a: b\r\n")]),
        ("a dripping value", vec![say(OK), say("x-a: "), Step::Drip(b"b")]),
        ("continue, and no more", vec![say("HTTP/1.1 100 Continue\r\n\r\n"), Step::Stay]),
        ("continue, dripping", vec![Step::Drip(b"HTTP/1.1 100 Continue\r\n\r\n")]),
        ("continue, forever", vec![Step::Forever("HTTP/1.1 100 Continue\r\n\r\n".into())]),
        (
            "early hints, forever",
            vec![Step::Forever("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(50).into())],
        ),
    ] {
        let server = doing(steps).await;
        let (session, outcome) = ask(&world, &server, |_| {}).await;
        let Err(SendError::Unreachable(reason)) = outcome else { panic!("{name}: {outcome:?}") };
        assert!(reason.contains("did not begin to answer within 150 ms"), "{name}: {reason}");
        assert_eq!(session.records()[0].error, Some(reason), "{name}");
        assert!(session.sent(), "{name}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut_at_a_limit() {
    let world = World::new();
    let chunk = |bytes: usize| Bytes::from(format!("{bytes:x}\r\n{}\r\n", "a".repeat(bytes)));
    let chunked = || say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (name, steps) in [
        ("chunks", vec![chunked(), Step::Forever(chunk(4_000))]),
        ("small chunks", vec![chunked(), Step::Forever(chunk(1))]),
        (
            "one chunk without an end",
            vec![chunked(), say("7fffffffffffffff\r\n"), Step::Forever(vec![b'a'; 4_000].into())],
        ),
        ("no length", vec![say(format!("{OK}\r\n")), Step::Forever(vec![b'a'; 4_000].into())]),
        (
            "a length that is a lie",
            vec![
                say(format!("{OK}content-length: 9223372036854775807\r\n\r\n")),
                Step::Forever(vec![b'a'; 4_000].into()),
            ],
        ),
        ("no length, the old way", vec![say("HTTP/1.0 200 OK\r\n\r\n"), Step::Forever(vec![b'a'; 4_000].into())]),
    ] {
        let server = doing(steps).await;
        let (session, outcome) = ask(&world, &server, |_| {}).await;
        assert_eq!(outcome, Err(SendError::LimitExceeded { which: "response_bytes", limit: 64 << 10 }), "{name}");
        let taken = session.records()[0].received_bytes;
        assert!(taken < 2 << 20, "{name}: {taken} bytes were taken in");
    }
}

#[tokio::test]
async fn a_body_that_drips_ends_with_the_time_of_the_call() {
    let world = impatient();
    let chunked = || say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (name, steps) in [
        ("bytes", vec![say(format!("{OK}content-length: 1000000\r\n\r\n")), Step::Drip(b"a")]),
        ("chunks", vec![chunked(), Step::Drip(b"1\r\na\r\n")]),
        ("a chunk's size", vec![chunked(), Step::Drip(b"0")]),
        ("trailers", vec![chunked(), say("0\r\n"), Step::Drip(b"x: y\r\n")]),
        (
            "gzip",
            vec![
                say(format!("{OK}content-encoding: gzip\r\n\r\n")),
                Step::Drip(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x00\x00\x00\xff\xff"),
            ],
        ),
    ] {
        let server = doing(steps).await;
        let (session, outcome) = ask(&world, &server, |given| given.limits.wall_ms = 400).await;
        match outcome {
            Err(SendError::LimitExceeded { which: "wall_ms", limit: 400 }) => {}
            // A size that is too long to be one, or a stream that is none, is noticed.
            Err(SendError::Unreachable(reason)) if ["a chunk's size", "gzip"].contains(&name) => {
                assert!(reason.contains("broke off"), "{name}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(session.records()[0].status, Some(200), "{name}");
        assert!(session.records()[0].error.is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let world = World::new();
    let lines = |count: usize| (0..count).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
    let long = |bytes: usize| format!("x-long: {}\r\n", "a".repeat(bytes));
    for (name, steps, wanted) in [
        ("as many as fit", vec![say(format!("{OK}{}content-length: 0\r\n\r\n", lines(199)))], None),
        ("one too many", vec![say(format!("{OK}{}content-length: 0\r\n\r\n", lines(200)))], Some("too large")),
        ("thousands", vec![say(format!("{OK}{}\r\n", lines(20_000)))], Some("")),
        ("without an end", vec![say(OK), Step::Forever(lines(100).into())], Some("")),
        ("a long one", vec![say(format!("{OK}{}content-length: 0\r\n\r\n", long(60_000)))], None),
        (
            "too long a one",
            vec![say(format!("{OK}{}content-length: 0\r\n\r\n", long(70_000)))],
            Some("response_header_bytes"),
        ),
        ("a value without an end", vec![say(OK), say("x-a: "), Step::Forever(vec![b'a'; 4_000].into())], Some("")),
        ("a name without an end", vec![say(OK), Step::Forever(vec![b'a'; 4_000].into())], Some("")),
        ("a reason without an end", vec![say("HTTP/1.1 200 "), Step::Forever(vec![b'a'; 4_000].into())], Some("")),
        (
            "endless trailers",
            vec![say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"), Step::Forever(lines(100).into())],
            Some("broke off"),
        ),
        (
            "endless extensions",
            vec![
                say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
                Step::Forever(format!("1;{}\r\na\r\n", "e".repeat(1_000)).into()),
            ],
            Some("broke off"),
        ),
    ] {
        let server = doing(steps).await;
        let (session, outcome) = ask(&world, &server, |_| {}).await;
        match (&outcome, wanted) {
            (Ok(response), None) => assert_eq!(response.status, 200, "{name}"),
            (Err(error @ (SendError::Unreachable(_) | SendError::LimitExceeded { .. })), Some(word)) => {
                assert!(error.to_string().contains(word), "{name}: {error}");
                assert!(session.records()[0].error.is_some(), "{name}");
            }
            _ => panic!("{name}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn words_before_the_answer_do_not_hide_it() {
    let world = World::new();
    let before = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n".repeat(200);
    let server = doing(vec![say(format!("{before}{OK}content-length: 2\r\n\r\nok"))]).await;
    let (_, outcome) = ask(&world, &server, |_| {}).await;
    let response = outcome.expect("answered");
    assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
    assert!(response.headers.iter().all(|(name, _)| name != "link"), "{:?}", response.headers);

    // Nobody asked for another protocol: what comes after it is not read as an answer.
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let server = doing(vec![say(format!("{switch}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ninside"))]).await;
    let (session, outcome) = ask(&world, &server, |_| {}).await;
    match outcome {
        Ok(response) => assert_eq!((response.status, &response.body[..]), (101, &b""[..])),
        Err(SendError::Unreachable(reason)) => assert_eq!(session.records()[0].error, Some(reason)),
        other => panic!("{other:?}"),
    }
}

/// Many at once, each with far more than fits: what one may take is what all may take.
#[tokio::test]
async fn many_floods_at_once_stay_within_their_limits() {
    let world = World::new();
    let server = doing(vec![say(format!("{OK}\r\n")), Step::Forever(vec![b'a'; 4_000].into())]).await;
    let asked = (0..50).map(|_| ask(&world, &server, |given| given.limits.response_bytes = 10_000));
    let mut taken = 0;
    for (session, outcome) in futures_util::future::join_all(asked).await {
        assert_eq!(outcome, Err(SendError::LimitExceeded { which: "response_bytes", limit: 10_000 }));
        taken += session.records()[0].received_bytes;
    }
    assert!(taken < 50 << 20, "{taken} bytes were taken in");
}
