//! Servers that lie about where an answer ends: whatever they say, it is not taken for
//! the answer to another request, and no header that comes of it is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use egress::{Request, SendError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::Server;
use crate::world::{Given, World, get};

const HONEST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhonest";

/// The first request of all gets the lie, in one piece; all others are answered honestly,
/// over whichever connection they come.
async fn first_lie(lie: impl Into<Bytes>) -> Server {
    let (lie, requests) = (lie.into(), Arc::new(AtomicUsize::new(0)));
    Server::raw(move |mut stream, _, _| {
        let (lie, requests) = (lie.clone(), Arc::clone(&requests));
        async move {
            let mut request = [0; 4096];
            while matches!(stream.read(&mut request).await, Ok(1..)) {
                let first = requests.fetch_add(1, Ordering::SeqCst) == 0;
                let answer = if first { &lie[..] } else { HONEST.as_bytes() };
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";

#[tokio::test]
async fn what_follows_an_answer_is_not_the_next_one() {
    for (name, method, lie) in [
        ("a second answer", "GET", format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{POISON}")),
        ("after no content", "GET", format!("HTTP/1.1 204 No Content\r\n\r\n{POISON}")),
        ("no content with a length", "GET", format!("HTTP/1.1 204 No Content\r\ncontent-length: 64\r\n\r\n{POISON}")),
        (
            "not modified with a length",
            "GET",
            format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 64\r\n\r\n{POISON}"),
        ),
        ("the body of a HEAD", "HEAD", format!("HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n{POISON}")),
        (
            "after the last chunk",
            "GET",
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{POISON}"),
        ),
        ("after a redirect", "GET", format!("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n{POISON}")),
        (
            "both lengths",
            "GET",
            format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{POISON}"),
        ),
        (
            "both, the other way",
            "GET",
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{POISON}"),
        ),
        (
            "lengths that differ",
            "GET",
            format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 64\r\n\r\n{POISON}"),
        ),
        ("a list of lengths", "GET", format!("HTTP/1.1 200 OK\r\ncontent-length: 0, 64\r\n\r\n{POISON}")),
        ("a bare line feed", "GET", format!("HTTP/1.1 200 OK\ncontent-length: 0\n\n{POISON}")),
        (
            "an old version",
            "GET",
            format!("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n{POISON}"),
        ),
    ] {
        let (world, server) = (World::new(), first_lie(lie).await);
        let session = world.session(&Given::ports(&[server.port()]));
        let request = Request { method: method.to_owned(), ..get("{base-url}/first") };
        let outcome = session.send(request).await;
        match &outcome {
            Ok(response) => assert!(response.body.is_empty() || response.body == "ok", "{name}: {response:?}"),
            Err(SendError::Unreachable(reason)) => assert!(reason.contains(&server.url("")), "{name}: {reason}"),
            other => panic!("{name}: {other:?}"),
        }
        // A connection found to be poisoned may cost one request; it is never believed.
        let mut honest = 0;
        for _ in 0..5 {
            match session.send(get("{base-url}/second")).await {
                Ok(response) => assert_eq!(response.body, "honest", "{name}: after {outcome:?}"),
                Err(SendError::Unreachable(_)) => continue,
                other => panic!("{name}: {other:?}"),
            }
            honest += 1;
        }
        assert!(honest >= 4, "{name}: {honest} of 5");
    }
}

#[tokio::test]
async fn heads_that_are_none_are_refused_and_shown_to_nobody() {
    for (name, head) in [
        ("a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
        ("a signed length", "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok"),
        ("a length in hexadecimal", "HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\nok"),
        ("a length past all numbers", "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok"),
        ("a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok"),
        ("lengths that differ", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok"),
        ("a chunk past all numbers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nok"),
        ("a negative chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n"),
        ("a chunk longer than it says", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n"),
        ("a zero in a value", "HTTP/1.1 200 OK\r\nx-a: b\0c\r\ncontent-length: 0\r\n\r\n"),
        ("a return in a value", "HTTP/1.1 200 OK\r\nx-a: b\rx-b: c\r\ncontent-length: 0\r\n\r\n"),
        ("a blank in a name", "HTTP/1.1 200 OK\r\nx a: b\r\ncontent-length: 0\r\n\r\n"),
        ("a blank before the colon", "HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n"),
        ("a folded value", "HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\ncontent-length: 0\r\n\r\n"),
        ("no colon", "HTTP/1.1 200 OK\r\nx-a\r\ncontent-length: 0\r\n\r\n"),
        ("a status of one digit", "HTTP/1.1 2 OK\r\ncontent-length: 0\r\n\r\n"),
        ("a status of four", "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"),
        ("a status of nought", "HTTP/1.1 000 No\r\ncontent-length: 0\r\n\r\n"),
        ("no status", "HTTP/1.1\r\n\r\n"),
        ("no version", "200 OK\r\n\r\n"),
        ("a later version", "HTTP/3.0 200 OK\r\n\r\n"),
        ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("no protocol", "<html>hello</html>"),
        ("a request", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("nothing but zeros", "\0\0\0\0\0\0\0\0"),
    ] {
        let world = World::new();
        let server = crate::hostile::doing(vec![crate::hostile::say(head)]).await;
        let session = world.session(&Given::ports(&[server.port()]));
        match session.send(get("{base-url}/")).await {
            Err(SendError::Unreachable(reason)) => {
                assert!(reason.contains(&server.url("")), "{name}: {reason}");
                assert_eq!(session.records()[0].error, Some(reason), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert!(session.sent(), "{name}");
    }
}

#[tokio::test]
async fn a_transfer_that_hides_its_contents_is_refused() {
    for coding in ["gzip, chunked", "deflate, chunked", "chunked, chunked", "identity, chunked", "gzip"] {
        let world = World::new();
        let head = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n6\r\nsealed\r\n0\r\n\r\n");
        let server = crate::hostile::doing(vec![crate::hostile::say(head)]).await;
        let session = world.session(&Given::ports(&[server.port()]).bearer("a-secret-token"));
        let outcome = session.send(get("{base-url}/")).await;
        assert!(matches!(outcome, Err(SendError::Unreachable(_))), "{coding}: {outcome:?}");
    }
    for coding in ["chunked", "Chunked"] {
        let world = World::new();
        let head = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n4\r\nopen\r\n0\r\n\r\n");
        let server = crate::hostile::doing(vec![crate::hostile::say(head)]).await;
        let response = world.session(&Given::ports(&[server.port()])).send(get("{base-url}/")).await.expect(coding);
        assert_eq!(response.body, "open");
    }
}

#[tokio::test]
async fn a_kept_connection_does_not_outlive_its_permission() {
    let (world, server) = (World::new(), crate::server::plain().await);
    let given = Given { base_url: None, ..Given::ports(&[server.port()]) };
    world.session(&given).send(get(server.url("/"))).await.expect("answered");
    // The same connector and origin: only the grant's address is gone.
    let withdrawn = Given { addresses: Vec::new(), ..given.clone() };
    let outcome = world.session(&withdrawn).send(get(server.url("/"))).await;
    assert!(matches!(outcome, Err(SendError::Denied(_))), "{outcome:?}");
    world.resolver.says("service.test", &[&["127.0.0.1"]]);
    let rule = format!("* http://service.test:{}", server.port());
    let by_name = Given { base_url: None, ..Given::new(&[&rule], &[server.port()]) };
    let url = format!("http://service.test:{}/", server.port());
    world.session(&by_name).send(get(&url)).await.expect("answered");
    let withdrawn = Given { addresses: Vec::new(), ..by_name.clone() };
    let outcome = world.session(&withdrawn).send(get(&url)).await;
    assert!(matches!(outcome, Err(SendError::Denied(_))), "{outcome:?}");
    assert_eq!(server.seen().len(), 2);
    // What remains allowed still goes over the connection that was kept for it.
    world.session(&by_name).send(get(&url)).await.expect("answered");
    assert_eq!((server.seen().len(), server.connections()), (3, 2));
}

#[tokio::test]
async fn each_connections_credential_stays_on_its_own_wire() {
    let (world, server) = (World::new(), crate::server::plain().await);
    let owners = ["first", "second", "third"];
    for _ in 0..3 {
        for owner in owners {
            let given = Given { connection: owner, ..Given::ports(&[server.port()]) };
            let session = world.session(&given.bearer(&format!("token-of-the-{owner}")));
            session.send(get("{base-url}/")).await.expect("answered");
        }
    }
    let seen = server.seen();
    for (place, seen) in seen.iter().enumerate() {
        let owner = owners[place % owners.len()];
        assert_eq!(seen.header("authorization"), format!("Bearer token-of-the-{owner}"));
        assert_eq!(seen.connection, place % owners.len() + 1, "each owner has a wire of its own");
    }
}
