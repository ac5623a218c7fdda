//! How often and how much at once; and who asked to be left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use egress::{Response, SendError};
use tokio::sync::Semaphore;

use crate::server::{Server, answer, plain};
use crate::world::{Given, World, get};

fn refused(why: &str, retry_after_ms: u64) -> Result<Response, SendError> {
    Err(SendError::RateLimited { why: why.to_owned(), retry_after_ms })
}

#[tokio::test]
async fn a_wait_that_the_remote_asks_for_holds_for_the_connection() {
    for status in [429, 503] {
        let world = World::new();
        let asked = AtomicUsize::new(0);
        let server = Server::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => answer(status, &[("retry-after", "30")], "slow down"),
            _ => answer(200, &[], "ok"),
        })
        .await;
        let given = Given::ports(&[server.port()]);
        let response = world.session(&given).send(get("{base-url}/")).await.expect("the answer itself is given");
        assert_eq!(response.status, status);
        world.pass_ms(10_000);
        for component in ["component", "its next version"] {
            let session = world.session(&Given { component, ..given.clone() });
            let outcome = session.send(get("{base-url}/")).await;
            assert_eq!(outcome, refused("the remote asked to wait", 20_000));
            assert!(!session.sent());
            let record = &session.records()[0];
            assert!(record.allowed && record.error.as_ref().is_some_and(|error| error.contains("20000 ms")));
            assert_eq!(session.verdict(), None);
        }
        assert_eq!(server.seen().len(), 1);
        let other = world.session(&Given { connection: "other-account", ..given.clone() });
        other.send(get("{base-url}/")).await.expect("another connection is not concerned");
        let other = world.session(&Given { environment: "production", ..given.clone() });
        other.send(get("{base-url}/")).await.expect("another environment is not concerned");
        world.pass_ms(20_000);
        world.session(&given).send(get("{base-url}/")).await.expect("the wait is over");
    }
}

#[tokio::test]
async fn a_plugin_has_so_many_requests_a_minute() {
    let (world, server) = (World::new(), plain().await);
    let mut given = Given::ports(&[server.port()]);
    given.limits.requests_per_minute = 2;
    for connection in ["a", "b"] {
        let session = world.session(&Given { connection, ..given.clone() });
        session.send(get("{base-url}/")).await.expect("within the rate");
    }
    let session = world.session(&Given { connection: "c", ..given.clone() });
    let outcome = session.send(get("{base-url}/")).await;
    assert_eq!(outcome, refused("the plugin reached its limit requests_per_minute = 2", 30_000));
    let record = &session.records()[0];
    let said =
        "not sent: the plugin reached its limit requests_per_minute = 2; the next request may be sent in 30000 ms";
    assert_eq!(record.error.as_deref(), Some(said));
    let session = world.session(&Given { component: "other component", ..given.clone() });
    session.send(get("{base-url}/")).await.expect("another plugin has a rate of its own");
    world.pass_ms(30_000);
    world.session(&given).send(get("{base-url}/")).await.expect("time gives it back");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn plugins_over_one_connection_share_its_requests_a_minute() {
    let (world, server) = (World::new(), plain().await);
    let mut given = Given::ports(&[server.port()]);
    given.limits.requests_per_minute = 2;
    let other = Given { component: "other component", ..given.clone() };
    for given in [&given, &other] {
        world.session(given).send(get("{base-url}/")).await.expect("within the rate");
    }
    for given in [&given, &other] {
        let session = world.session(given);
        let outcome = session.send(get("{base-url}/")).await;
        assert_eq!(outcome, refused("the connection reached its limit requests_per_minute = 2", 30_000));
        assert!(!session.sent());
    }
    // What was refused cost the plugins nothing: each has room for one more.
    for (given, connection) in [(&given, "a"), (&other, "b")] {
        let session = world.session(&Given { connection, ..given.clone() });
        session.send(get("{base-url}/")).await.expect("the plugin's own rate has room");
    }
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn plugins_over_one_connection_share_its_slots() {
    let (world, asked) = (World::new(), AtomicUsize::new(0));
    let server = Server::start_async(move |_| {
        let is_first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            answer(200, &[], "ok")
        }
    })
    .await;
    let mut given = Given::ports(&[server.port()]);
    given.limits.concurrency = 1;
    let first = world.session(&given);
    let blocking = tokio::spawn(async move { first.send(get("{base-url}/")).await });
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let other = Given { component: "other component", ..given.clone() };
    let session = world.session(&other);
    let outcome = session.send(egress::Request { timeout_ms: Some(50), ..get("{base-url}/") }).await;
    assert_eq!(outcome, refused("the connection reached its limit concurrency = 1", 1_000));
    assert!(!session.sent());
    let session = world.session(&Given { connection: "other-account", ..other });
    session.send(get("{base-url}/")).await.expect("the plugin's own slot is free");
    // The other way round: the connection is free, the plugin is not.
    let session = world.session(&Given { connection: "third-account", ..given });
    let outcome = session.send(egress::Request { timeout_ms: Some(50), ..get("{base-url}/") }).await;
    assert_eq!(outcome, refused("the plugin reached its limit concurrency = 1", 1_000));
    blocking.abort();
}

#[tokio::test]
async fn no_more_than_so_many_at_once() {
    let world = World::new();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let inside = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate), Arc::clone(&arrived));
    let server = Server::start_async(move |_| {
        let (now, most, gate, arrived) = inside.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            arrived.add_permits(1);
            gate.acquire().await.expect("open").forget();
            now.fetch_sub(1, Ordering::SeqCst);
            answer(200, &[], "ok")
        }
    })
    .await;
    let mut given = Given::ports(&[server.port()]);
    given.limits.concurrency = 2;
    let sending: Vec<_> = (0..6)
        .map(|_| {
            let session = world.session(&given);
            tokio::spawn(async move { session.send(get("{base-url}/")).await.map(|response| response.status) })
        })
        .collect();
    for _ in 0..6 {
        arrived.acquire().await.expect("open").forget();
        gate.add_permits(1);
    }
    for sent in sending {
        assert_eq!(sent.await.expect("no panic"), Ok(200));
    }
    assert!(most.load(Ordering::SeqCst) <= 2);
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn who_finds_no_slot_in_time_may_come_back() {
    let world = World::new();
    let server = Server::start_async(|_| std::future::pending()).await;
    let mut given = Given::ports(&[server.port()]);
    given.limits.concurrency = 1;
    let first = world.session(&given);
    let blocking = tokio::spawn(async move { first.send(get("{base-url}/")).await });
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let session = world.session(&given);
    let outcome = session.send(egress::Request { timeout_ms: Some(50), ..get("{base-url}/") }).await;
    assert_eq!(outcome, refused("the connection reached its limit concurrency = 1", 1_000));
    assert!(!session.sent());
    blocking.abort();
}
