//! Each redirect is a new request, decided anew.

use egress::SendError;
use model::Failure;

use crate::server::{Server, answer, plain, redirecting};
use crate::world::{Given, World, post, with_header};

const CODES: [u16; 5] = [301, 302, 303, 307, 308];

#[tokio::test]
async fn allowed_redirects_are_followed_as_browsers_do() {
    let world = World::new();
    let target = plain().await;
    for code in CODES {
        let source = redirecting(code, target.url("/there?q=1")).await;
        let session = world.session(&Given::ports(&[source.port(), target.port()]));
        let request = with_header(post("{base-url}/here", "hello"), "content-type", "text/plain");
        let response = session.send(request).await.expect("answered");
        assert_eq!((response.status, response.url), (200, target.url("/there?q=1")));
        let seen = target.seen().pop().expect("seen");
        let (method, body, kind) = if code < 307 { ("GET", "", "") } else { ("POST", "hello", "text/plain") };
        assert_eq!((seen.method.as_str(), seen.uri.as_str()), (method, "/there?q=1"), "{code}");
        assert_eq!((&seen.body[..], seen.header("content-type")), (body.as_bytes(), kind), "{code}");
        assert_eq!(seen.header("host"), target.address.to_string());
        let statuses: Vec<_> = session.records().iter().map(|record| (record.status, record.error.clone())).collect();
        assert_eq!(statuses, [(Some(code), None), (Some(200), None)]);
    }
}

#[tokio::test]
async fn denied_redirects_are_not_followed() {
    let (world, canary) = (World::new(), plain().await);
    world.resolver.says("inside.test", &[&["127.0.0.1"]]);
    let by_name = format!("http://inside.test:{}/", canary.port());
    for code in CODES {
        for (location, addresses) in [
            (canary.url("/"), true),
            (canary.url("/"), false),
            (by_name.clone(), false),
            (format!("http://user@127.0.0.1:{}/", canary.port()), true),
            (format!("http://[::ffff:127.0.0.1]:{}/", canary.port()), true),
            ("file:///etc/passwd".to_owned(), true),
            ("http://169.254.169.254/latest/meta-data".to_owned(), true),
        ] {
            let source = redirecting(code, location.clone()).await;
            let mut given = Given::ports(&[source.port()]);
            given.rules.push(format!("* http://inside.test:{}", canary.port()));
            if addresses {
                given.addresses.push(canary.address.to_string());
            } else {
                given.rules.push(format!("* http://127.0.0.1:{}", canary.port()));
            }
            let session = world.session(&given);
            let outcome = session.send(post("{base-url}/", "hello")).await;
            assert!(matches!(outcome, Err(SendError::Denied(_))), "{code} {location}: {outcome:?}");
            assert!(matches!(session.verdict(), Some(Failure::PolicyDenied { .. })));
            let allowed: Vec<_> = session.records().iter().map(|record| record.allowed).collect();
            assert_eq!(allowed, [true, false], "{code} {location}");
            assert!(session.sent(), "the first request has left");
        }
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn headers_stay_within_the_origin() {
    let (world, target) = (World::new(), plain().await);
    let to = target.url("/end");
    let source = Server::start(move |seen| match seen.uri.as_str() {
        "/start" => answer(307, &[("location", "/middle")], ""),
        _ => answer(307, &[("location", &to)], ""),
    })
    .await;
    let session = world.session(&Given::ports(&[source.port(), target.port()]));
    let request = ["accept", "content-type", "x-private", "user-agent", "referer"]
        .iter()
        .fold(post("{base-url}/start", "{}"), |request, name| with_header(request, name, "application/json"));
    session.send(request).await.expect("answered");
    for seen in source.seen() {
        assert_eq!((seen.header("x-private"), seen.header("user-agent")), ("application/json", "application/json"));
    }
    let seen = &target.seen()[0];
    assert_eq!((seen.header("accept"), seen.header("content-type")), ("application/json", "application/json"));
    assert_eq!((seen.header("x-private"), seen.header("referer")), ("", ""));
    assert!(seen.header("user-agent").starts_with("sluicegate/"));
}

#[tokio::test]
async fn there_is_an_end_to_redirects() {
    let world = World::new();
    let server = Server::start(|seen| {
        let next = seen.uri.trim_start_matches('/').parse::<u32>().expect("a number") - 1;
        let location = format!("/{next}");
        if next == 0 { answer(200, &[], "end") } else { answer(302, &[("location", &location)], "") }
    })
    .await;
    let session = world.session(&Given::ports(&[server.port()]));
    assert_eq!(session.send(post("{base-url}/6", "")).await.expect("five redirects").status, 200);
    assert_eq!(server.seen().len(), 6);
    let session = world.session(&Given::ports(&[server.port()]));
    let outcome = session.send(post("{base-url}/7", "")).await;
    assert_eq!(outcome, Err(SendError::LimitExceeded { which: "redirects", limit: 5 }));
    assert_eq!(server.seen().len(), 6 + 6, "the sixth redirect is not followed");
    assert_eq!(session.verdict(), Some(Failure::LimitExceeded { which: "redirects".to_owned(), limit: 5 }));
}

#[tokio::test]
async fn redirects_count_as_requests() {
    let (world, target) = (World::new(), plain().await);
    let source = redirecting(302, target.url("/")).await;
    let mut given = Given::ports(&[source.port(), target.port()]);
    given.limits.requests = 1;
    let session = world.session(&given);
    let outcome = session.send(post("{base-url}/", "")).await;
    assert_eq!(outcome, Err(SendError::LimitExceeded { which: "requests", limit: 1 }));
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_redirects_url_has_the_same_limit() {
    let (world, target) = (World::new(), plain().await);
    let source = redirecting(302, target.url(&format!("/?q={}", "x".repeat(200)))).await;
    let mut given = Given::ports(&[source.port(), target.port()]);
    given.limits.url_bytes = 100;
    let outcome = world.session(&given).send(post("{base-url}/", "hello")).await;
    assert_eq!(outcome, Err(SendError::LimitExceeded { which: "url_bytes", limit: 100 }));
    assert_eq!((source.seen().len(), target.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_redirect_without_a_place_is_the_answer() {
    let world = World::new();
    let server = Server::start(|_| answer(302, &[], "look elsewhere")).await;
    let session = world.session(&Given::ports(&[server.port()]));
    let response = session.send(post("{base-url}/", "")).await.expect("answered");
    assert_eq!((response.status, &response.body[..]), (302, &b"look elsewhere"[..]));
}
