//! What is too much is cut off while it streams.

use bytes::Bytes;
use egress::SendError;
use model::{Failure, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::{Server, answer, in_pieces, plain};
use crate::world::{Given, World, get, post, with_header};

const ZEROS: &[u8] = include_bytes!("../data/zeros-4-mib.gz");

fn zeros() -> crate::server::Answer {
    answer(200, &[("content-encoding", "gzip"), ("content-type", "text/plain")], ZEROS)
}

#[tokio::test]
async fn compressed_answers_are_opened() {
    let (world, server) = (World::new(), Server::start(|_| zeros()).await);
    let session = world.session(&Given::ports(&[server.port()]));
    let response = session.send(get("{base-url}/")).await.expect("answered");
    assert_eq!(response.body.len(), 4 << 20);
    assert!(!response.headers.iter().any(|(name, _)| name == "content-encoding" || name == "content-length"));
    assert_eq!(session.records()[0].received_bytes, 4 << 20);
    let head = egress::Request { method: "HEAD".to_owned(), ..get("{base-url}/") };
    assert_eq!(session.send(head).await.expect("answered").body, "");
}

#[tokio::test]
async fn answers_that_nobody_can_look_into_are_refused() {
    let world = World::new();
    for encoding in ["deflate", "br", "GZIP", "gzip, gzip", "identity, br", ""] {
        let server = Server::start(move |_| answer(200, &[("content-encoding", encoding)], "sealed")).await;
        let session = world.session(&Given::ports(&[server.port()]).bearer("a-secret-token"));
        let outcome = session.send(get("{base-url}/")).await;
        let reason = format!("{} answered in an encoding that was not asked for", server.url(""));
        assert_eq!(outcome, Err(SendError::Unreachable(reason.clone())), "{encoding:?}");
        assert_eq!(session.records()[0].error, Some(reason), "{encoding:?}");
    }
    let server = Server::start(|_| answer(200, &[("content-encoding", "Identity")], "open")).await;
    let response = world.session(&Given::ports(&[server.port()])).send(get("{base-url}/")).await.expect("answered");
    assert_eq!(response.body, "open");
}

#[tokio::test]
async fn answers_are_cut_at_their_limit_decompressed() {
    let world = World::new();
    type Make = fn() -> crate::server::Answer;
    let answers: [(&str, Make); 3] = [
        ("gzip bomb", zeros),
        ("with its length", || answer(200, &[], vec![b'a'; 1 << 20])),
        ("in pieces", || in_pieces(&[], &[b'a'; 1 << 20], 1_000)),
    ];
    for (name, make) in answers {
        let server = Server::start(move |_| make()).await;
        let mut given = Given::ports(&[server.port()]);
        given.limits.response_bytes = (1 << 20) - 1;
        let session = world.session(&given);
        let outcome = session.send(get("{base-url}/")).await;
        let limit = given.limits.response_bytes;
        assert_eq!(outcome, Err(SendError::LimitExceeded { which: "response_bytes", limit }), "{name}");
        assert_eq!(session.verdict(), Some(Failure::LimitExceeded { which: "response_bytes".to_owned(), limit }));
        let record = &session.records()[0];
        assert!(record.error.is_some() && record.status == Some(200), "{name}");
        assert!(record.received_bytes < 2 << 20, "{name}: {} bytes were taken in", record.received_bytes);
    }
    let server = Server::start(|_| in_pieces(&[], &[b'a'; 1 << 20], 1_000)).await;
    let mut given = Given::ports(&[server.port()]);
    given.limits.response_bytes = 1 << 20;
    let response = world.session(&given).send(get("{base-url}/")).await.expect("just fits");
    assert_eq!(response.body, vec![b'a'; 1 << 20]);
}

#[tokio::test]
async fn requests_are_held_to_their_limits() {
    let (world, server) = (World::new(), plain().await);
    let mut given = Given::ports(&[server.port()]);
    given.limits.request_bytes = 4;
    given.limits.requests = 3;
    let session = world.session(&given);
    session.send(post("{base-url}/", "four")).await.expect("just fits");
    let outcome = session.send(post("{base-url}/", "fives")).await;
    assert_eq!(outcome, Err(SendError::LimitExceeded { which: "request_bytes", limit: 4 }));
    session.send(get("{base-url}/")).await.expect("the third");
    let outcome = session.send(get("{base-url}/")).await;
    assert_eq!(outcome, Err(SendError::LimitExceeded { which: "requests", limit: 3 }));
    let first = Failure::LimitExceeded { which: "request_bytes".to_owned(), limit: 4 };
    assert_eq!(session.verdict(), Some(first), "the first one stands");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let world = World::new();
    let value = "a".repeat(7_000);
    let headers: Vec<(String, String)> = (0..10).map(|n| (format!("x-{n}"), value.clone())).collect();
    let server = Server::start(move |_| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        answer(200, &headers, "")
    })
    .await;
    let session = world.session(&Given::ports(&[server.port()]));
    let outcome = session.send(get("{base-url}/")).await;
    assert_eq!(outcome, Err(SendError::LimitExceeded { which: "response_header_bytes", limit: 64 << 10 }));
}

#[tokio::test]
async fn a_grant_may_give_smaller_heads() {
    let world = World::new();
    let server = Server::start(|_| answer(200, &[("x-long", &"v".repeat(300))], "")).await;
    let limited = |change: fn(&mut Limits)| {
        let mut given = Given::ports(&[server.port()]);
        change(&mut given.limits);
        world.session(&given)
    };
    let exceeded = |which, limit| Err(SendError::LimitExceeded { which, limit });
    let two = || with_header(with_header(get("{base-url}/"), "x-a", "1"), "x-b", "2");
    assert_eq!(limited(|limits| limits.request_headers = 1).send(two()).await, exceeded("request_headers", 1));
    let small = limited(|limits| limits.request_header_bytes = 7);
    assert_eq!(small.send(two()).await, exceeded("request_header_bytes", 7));
    let long = get(format!("{{base-url}}/?q={}", "ä".repeat(10)));
    assert_eq!(limited(|limits| limits.url_bytes = 60).send(long).await, exceeded("url_bytes", 60), "as it is sent");
    assert_eq!(server.seen().len(), 0, "nothing has left");
    let session = limited(|limits| limits.response_header_bytes = 200);
    assert_eq!(session.send(get("{base-url}/")).await, exceeded("response_header_bytes", 200));
}

#[tokio::test]
async fn broken_answers_say_so() {
    let world = World::new();
    let endless = Bytes::from(format!("HTTP/1.1 200 OK\r\n{}", "x-a: a\r\n".repeat(100_000)));
    for (name, bytes) in [
        ("nothing", Bytes::new()),
        ("no HTTP", Bytes::from_static(b"220 mail.example.com ESMTP\r\n")),
        ("half a head", Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-le")),
        ("half a body", Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")),
        ("a bad chunk", Bytes::from_static(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")),
        ("no gzip", Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope")),
        ("an endless head", endless),
    ] {
        let server = Server::raw(move |mut stream, _, _| {
            let bytes = bytes.clone();
            async move {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        let session = world.session(&Given::ports(&[server.port()]));
        let outcome = session.send(post("{base-url}/?private=1", "x")).await;
        let Err(SendError::Unreachable(reason)) = outcome else { panic!("{name}: {outcome:?}") };
        assert!(reason.contains(&server.url("")) && !reason.contains("private"), "{name}: {reason}");
        assert!(session.sent(), "{name}");
        assert_eq!(session.records()[0].error, Some(reason));
        assert_eq!(session.verdict(), None, "{name}: the network's fault is not the policy's");
    }
}
