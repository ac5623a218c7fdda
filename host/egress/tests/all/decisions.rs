//! What is allowed goes, what is not does not, and both are on record.

use egress::SendError;
use model::Failure;

use crate::server::plain;
use crate::world::{Given, START_MS, World, get, post, with_header};

#[tokio::test]
async fn an_allowed_request_goes_and_is_on_record() {
    let (world, server) = (World::new(), plain().await);
    let session = world.session(&Given::ports(&[server.port()]));
    assert!(!session.sent());
    let request = with_header(post(server.url("/a/b?secret=1"), "hello"), "X-Extra", "yes");
    let response = session.send(request).await.expect("answered");
    assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
    assert_eq!(response.url, server.url("/a/b?secret=1"));
    assert!(session.sent());
    assert_eq!(session.verdict(), None);
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.uri.as_str(), &seen.body[..]), ("POST", "/a/b?secret=1", &b"hello"[..]));
    assert_eq!((seen.header("x-extra"), seen.header("accept-encoding")), ("yes", "gzip"));
    assert_eq!(seen.header("host"), server.address.to_string());
    assert!(seen.header("user-agent").starts_with("sluicegate/"));
    let records = session.records();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.at_ms, record.method.as_str(), record.allowed), (START_MS, "POST", true));
    assert_eq!((record.target.as_str(), record.path.as_str()), (format!("http://{}", server.address).as_str(), "/a/b"));
    assert_eq!((record.status, record.sent_bytes, record.received_bytes), (Some(200), 5, 2));
    assert_eq!(record.address, Some(server.address.to_string()));
    assert_eq!((record.error.as_deref(), record.fix.as_deref()), (None, None));
    assert!(record.rule.contains("grant probe"), "{}", record.rule);
}

#[tokio::test]
async fn a_denied_request_does_not_go_and_is_on_record() {
    let (world, server, canary) = (World::new(), plain().await, plain().await);
    let rule = format!("GET http://127.0.0.1:{}/v1/**", server.port());
    let ports = [server.port(), canary.port()];
    for (method, url) in [
        ("GET", canary.url("/v1/x")),
        ("POST", server.url("/v1/x")),
        ("GET", server.url("/v2")),
        ("GET", server.url("/v1/../v2")),
        ("GET", server.url("/v1/%2e%2e/v2")),
        ("GET", server.url("/v1").replace("http", "https")),
        ("OPTIONS", server.url("/v1")),
        ("GET", "https://example.com/v1".to_owned()),
    ] {
        let session = world.session(&Given::new(&[&rule], &ports));
        let request = egress::Request { method: method.to_owned(), ..get(url.as_str()) };
        let Err(SendError::Denied(denial)) = session.send(request).await else { panic!("{method} {url} was sent") };
        let record = &session.records()[0];
        assert_eq!((record.allowed, &record.rule, record.fix.as_ref()), (false, &denial.rule, Some(&denial.fix)));
        assert_eq!((record.status, record.method.as_str()), (None, method));
        let verdict = Failure::PolicyDenied { rule: denial.rule, fix: denial.fix };
        assert_eq!(session.verdict(), Some(verdict), "{method} {url}");
        assert!(!session.sent());
    }
    assert_eq!((server.connections(), canary.connections()), (0, 0));
}

#[tokio::test]
async fn what_no_rule_could_mean_is_denied_and_on_record() {
    let (world, server) = (World::new(), plain().await);
    let port = server.port();
    for (method, url, wanted) in [
        ("GET", format!("http://user@127.0.0.1:{port}/"), "user information"),
        ("GET", format!("http://:pass@127.0.0.1:{port}/"), "user information"),
        ("GET", server.url("/a%2fb"), "encoded slash"),
        ("GET", server.url("/a%5Cb"), "encoded slash"),
        ("GET", "ftp://127.0.0.1/".to_owned(), "ftp"),
        ("GET", "file:///etc/passwd".to_owned(), "file"),
        ("CONNECT", server.url("/"), "CONNECT"),
        ("TRACE", server.url("/"), "TRACE"),
        ("G T", server.url("/"), "G T"),
    ] {
        let session = world.session(&Given::ports(&[port]));
        let request = egress::Request { method: method.to_owned(), ..get(url.as_str()) };
        let Err(SendError::Denied(denial)) = session.send(request).await else { panic!("{method} {url} was sent") };
        assert!(denial.rule.contains(wanted), "{}", denial.rule);
        assert_eq!(session.records().len(), 1);
        assert!(!format!("{:?}", session.records()).contains("pass@"));
        assert!(matches!(session.verdict(), Some(Failure::PolicyDenied { .. })));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn requests_that_cannot_be_sent_say_what_is_wrong() {
    let (world, server) = (World::new(), plain().await);
    let good = || get(server.url("/"));
    for (request, wanted) in [
        (get("no url"), "not an absolute URL"),
        (get(""), "not an absolute URL"),
        (get("{base-url}.evil.example/"), "followed by a slash"),
        (get("{base-url}@evil.example/"), "followed by a slash"),
        (get("{base-url}:1/"), "followed by a slash"),
        (with_header(good(), "Host", "evil.example"), "header host "),
        (with_header(good(), "Content-Length", "3"), "header content-length "),
        (with_header(good(), "Transfer-Encoding", "chunked"), "header transfer-encoding "),
        (with_header(good(), "Accept-Encoding", "br"), "header accept-encoding "),
        (with_header(good(), "Authorization", "Bearer x"), "header authorization "),
        (with_header(good(), "Cookie", "a=b"), "header cookie "),
        (with_header(good(), "X-A", "a\r\nHost: evil.example"), "header x-a "),
        (with_header(good(), "X-A\r\nB", "a"), "is not a header name"),
    ] {
        let session = world.session(&Given::ports(&[server.port()]));
        match session.send(request).await {
            Err(SendError::Invalid(reason)) => assert!(reason.contains(wanted), "{reason}"),
            other => panic!("{wanted}: {other:?}"),
        }
        assert!(!session.sent());
        assert!(session.records().iter().all(|record| record.error.is_some()));
    }
    let session = world.session(&Given::new(&["* https://example.com"], &[]));
    assert!(matches!(session.send(get("{base-url}/x")).await, Err(SendError::Invalid(_))));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn base_url_stands_for_the_connections_service() {
    let (world, server) = (World::new(), plain().await);
    for (base, rest, wanted) in [
        ("", "/x?y=1", "/x?y=1"),
        ("/", "/x", "/x"),
        ("/api/v3", "/x", "/api/v3/x"),
        ("/api/v3/", "/x", "/api/v3/x"),
        ("/api", "", "/api"),
        ("/api", "?a", "/api?a"),
        ("/api", "/../x", "/x"),
    ] {
        let given = Given { base_url: Some(server.url(base)), ..Given::ports(&[server.port()]) };
        let session = world.session(&given);
        session.send(get(format!("{{base-url}}{rest}"))).await.expect("answered");
        assert_eq!(server.seen().last().expect("seen").uri, wanted);
    }
}

#[tokio::test]
async fn a_call_cut_off_is_on_record_and_may_have_sent() {
    let world = World::new();
    let server = crate::server::Server::start_async(|_| std::future::pending()).await;
    let session = world.session(&Given::ports(&[server.port()]));
    {
        let mut sending = std::pin::pin!(session.send(post(server.url("/"), "x")));
        while server.seen().is_empty() {
            tokio::select! {
                biased;
                outcome = &mut sending => panic!("answered: {outcome:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    assert!(session.sent());
    let record = &session.records()[0];
    assert_eq!((record.allowed, record.status), (true, None));
    assert_eq!(record.error.as_deref(), Some("the call ended before the answer"));
}
