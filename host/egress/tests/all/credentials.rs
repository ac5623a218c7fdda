//! The credential goes to its audience, and never comes back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use egress::SendError;
use model::Credential;

use crate::server::{Server, answer, in_pieces, plain, redirecting};
use crate::world::{Given, World, get, post};

const SECRET: &str = "s3cr/et+Tok\"en=1";
/// `SECRET` as the query carries it.
const IN_QUERY: &str = "s3cr%2Fet%2BTok%22en%3D1";

fn schemes() -> Vec<Credential> {
    vec![
        Credential::Bearer { token: SECRET.into() },
        Credential::Basic { user: "user".into(), password: SECRET.into() },
        Credential::Header { name: "x-api-key".into(), prefix: "Token ".into(), value: SECRET.into() },
        Credential::Query { name: "key".into(), value: SECRET.into() },
    ]
}

/// Whether a request carried the secret in any way.
fn carries(seen: &crate::server::Seen) -> bool {
    let text = format!("{seen:?}").replace("\\\"", "\"");
    let pair = STANDARD.encode(format!("user:{SECRET}"));
    let name = seen.headers.contains_key("authorization") || seen.headers.contains_key("x-api-key");
    name || text.contains(SECRET) || text.contains(IN_QUERY) || text.contains(&pair)
}

#[tokio::test]
async fn every_scheme_reaches_its_own_service_in_its_own_place() {
    let (world, server) = (World::new(), plain().await);
    let pair = format!("Basic {}", STANDARD.encode(format!("user:{SECRET}")));
    let bearer = format!("Bearer {SECRET}");
    let token = format!("Token {SECRET}");
    let places = [("authorization", &bearer), ("authorization", &pair), ("x-api-key", &token)];
    for (at, credential) in schemes().into_iter().enumerate() {
        let session = world.session(&Given { credential, ..Given::ports(&[server.port()]) });
        let response = session.send(get("{base-url}/x?a=1")).await.expect("answered");
        let seen = server.seen().pop().expect("seen");
        match places.get(at) {
            Some((header, value)) => assert_eq!(seen.header(header), value.as_str()),
            None => assert_eq!(seen.uri, format!("/x?a=1&key={IN_QUERY}")),
        }
        assert_eq!(response.url, server.url("/x?a=1"), "the credential is not shown");
        assert!(!format!("{:?}", session.records()).contains("s3cr"));
    }
}

#[tokio::test]
async fn it_does_not_leave_for_another_origin() {
    let (world, other) = (World::new(), plain().await);
    for credential in schemes() {
        for code in [301, 307] {
            let own = redirecting(code, other.url("/there")).await;
            let given = Given { credential: credential.clone(), ..Given::ports(&[own.port(), other.port()]) };
            let session = world.session(&given);
            session.send(post("{base-url}/", "x")).await.expect("answered");
            assert!(carries(&own.seen()[0]), "{credential:?}");
            session.send(get(other.url("/direct"))).await.expect("answered");
        }
    }
    let seen = other.seen();
    assert_eq!(seen.len(), 4 * 2 * 2);
    assert!(!seen.iter().any(carries), "{seen:?}");
}

#[tokio::test]
async fn it_is_not_sent_again_after_a_detour() {
    let world = World::new();
    let own =
        Server::start(|seen| answer(302, &[("location", seen.uri.split_once('=').map_or("/end", |to| to.1))], ""))
            .await;
    let back = own.url("/end");
    let detour = redirecting(302, back).await;
    let given = Given::ports(&[own.port(), detour.port()]).bearer(SECRET);
    let session = world.session(&given);
    let outcome = session.send(get(format!("{{base-url}}/start?to={}", detour.url("/")))).await;
    assert!(matches!(outcome, Err(SendError::LimitExceeded { which: "redirects", .. })), "{outcome:?}");
    let seen = own.seen();
    assert!(carries(&seen[0]) && seen.len() > 1);
    assert!(!seen[1..].iter().any(carries), "{seen:?}");
}

#[tokio::test]
async fn a_redirect_that_echoes_it_to_another_origin_is_denied() {
    let (world, other) = (World::new(), plain().await);
    for location in [other.url(&format!("/?key={IN_QUERY}")), other.url(&format!("/?next={}", URL_SAFE.encode(SECRET)))]
    {
        let own = redirecting(302, location).await;
        let session = world.session(&Given::ports(&[own.port(), other.port()]).bearer(SECRET));
        match session.send(get("{base-url}/")).await {
            Err(SendError::Denied(denial)) => assert_eq!(denial.code, "credential-in-redirect"),
            outcome => panic!("{outcome:?}"),
        }
        assert_eq!(session.records().len(), 2);
        assert!(!format!("{:?} {:?}", session.records(), session.verdict()).contains("s3cr"));
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn the_connector_cannot_take_its_place() {
    let (world, server) = (World::new(), plain().await);
    for credential in schemes() {
        let (header, url) = match &credential {
            Credential::Header { .. } => (Some("X-Api-Key"), "{base-url}/"),
            Credential::Query { .. } => (None, "{base-url}/?a=1&%6bey=mine"),
            _ => (Some("Authorization"), "{base-url}/"),
        };
        let mut request = get(url);
        request.headers.extend(header.map(|name| (name.to_owned(), "mine".to_owned())));
        let session = world.session(&Given { credential, ..Given::ports(&[server.port()]) });
        let outcome = session.send(request).await;
        assert!(matches!(outcome, Err(SendError::Invalid(_))), "{outcome:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn echoes_are_cut_out_of_everything_that_comes_back() {
    let world = World::new();
    let json = serde_json::to_string(SECRET).expect("text");
    let echoes = [
        SECRET.to_owned(),
        json[1..json.len() - 1].replace('/', "\\/"),
        STANDARD.encode(SECRET),
        URL_SAFE.encode(SECRET),
        STANDARD.encode(format!("user:{SECRET}")),
        STANDARD.encode(format!("{{\"token\":\"{SECRET}\"}}")),
        hex::encode(SECRET),
        hex::encode_upper(SECRET),
        IN_QUERY.to_owned(),
        IN_QUERY.to_lowercase().replace("tok", "Tok"),
    ];
    for credential in schemes() {
        for echo in &echoes {
            let body = format!("<{echo}> and again <{echo}>");
            let mirrored = (echo.clone(), body.clone());
            let server = Server::start(move |_| {
                let (echo, body) = &mirrored;
                in_pieces(&[("x-echo", echo), ("set-cookie", "session=1")], body.as_bytes(), 3)
            })
            .await;
            let given = Given { credential: credential.clone(), ..Given::ports(&[server.port()]) };
            let response = world.session(&given).send(get("{base-url}/")).await.expect("answered");
            let shown = format!("{:?} {}", response.headers, String::from_utf8_lossy(&response.body));
            assert!(shown.contains("[redacted]") && !shown.contains(echo.as_str()), "{credential:?} {echo}: {shown}");
            assert_eq!(shown.matches("[redacted]").count(), 3, "{credential:?} {echo}: {shown}");
            assert!(!shown.contains("set-cookie"), "{shown}");
        }
    }
}

#[tokio::test]
async fn echoes_are_cut_out_of_final_urls_and_records() {
    let world = World::new();
    let server = Server::start(|seen| match seen.uri.as_str() {
        "/" => answer(302, &[("location", "/u/long%20enough%7etoken?again=long+enough~token")], ""),
        _ => answer(200, &[], ""),
    })
    .await;
    let session = world.session(&Given::ports(&[server.port()]).bearer("long enough~token"));
    let response = session.send(get("{base-url}/")).await.expect("the same origin knows it");
    assert_eq!(response.url, server.url("/u/[redacted]?again=[redacted]"));
    assert_eq!(session.records()[1].path, "/u/[redacted]");
    assert_eq!(session.scrub("token long enough~token"), "token [redacted]");
}

#[tokio::test]
async fn a_lent_secret_is_written_for_the_own_service_alone() {
    const REFERENCE: &str = "sluicegate-secret-0123456789abcdef";
    let (world, own, other) = (World::new(), plain().await, plain().await);
    let given = Given::ports(&[own.port(), other.port()]).bearer(SECRET);
    let session = world.session(&given.lending(REFERENCE, "made-by-the-host"));
    let body = "{\"secret\":\"sluicegate-secret-0123456789abcdef\",\"again\":\"sluicegate-secret-0123456789abcdef\"}";
    session.send(post("{base-url}/hooks", body)).await.expect("answered");
    session.send(post(other.url("/canary"), body)).await.expect("answered");
    session.send(post("{base-url}/plain", "nothing to write")).await.expect("answered");
    let bodies: Vec<String> = own.seen().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    assert_eq!(bodies, [body.replace(REFERENCE, "made-by-the-host").as_str(), "nothing to write"]);
    assert_eq!(other.seen()[0].body, body.as_bytes(), "elsewhere the reference is only a text");
    assert_eq!(session.scrub("made-by-the-host"), "[redacted]");
}

/// A record keeps the beginning of a path; a secret that reaches beyond it is not halved.
#[tokio::test]
async fn a_long_path_that_echoes_it_is_scrubbed_before_it_is_cut() {
    let world = World::new();
    let secret = format!("long-{}", "0123456789".repeat(30));
    let echoed = format!("/{}/{secret}", "x".repeat(20));
    let leads_to = echoed.clone();
    let own = Server::start(move |seen| match seen.uri.as_str() {
        "/start" => answer(302, &[("location", leads_to.as_str())], ""),
        _ => answer(200, &[], "ok"),
    })
    .await;
    let session = world.session(&Given::ports(&[own.port()]).bearer(&secret));
    session.send(get(own.url("/start"))).await.expect("answered");
    assert_eq!(own.seen()[1].uri, echoed, "it is the service's own path");
    let records = session.records();
    assert_eq!(records[1].path, format!("/{}/[redacted]", "x".repeat(20)));
    assert!(!format!("{records:?}").contains("long-0"), "{records:?}");
}

/// A service that leads to a host or a scheme named after it does not tell it that way.
#[tokio::test]
async fn a_denied_redirect_does_not_name_it() {
    let world = World::new();
    let secret = "s3cret-token-12345";
    for place in [format!("http://{secret}.example.com/"), format!("{secret}:x")] {
        let own = redirecting(302, place.clone()).await;
        let session = world.session(&Given::ports(&[own.port()]).bearer(secret));
        let outcome = session.send(get(own.url("/"))).await;
        let said = format!("{outcome:?} {:?} {:?}", session.records(), session.verdict());
        assert!(matches!(outcome, Err(SendError::Denied(_))), "{place}: {said}");
        assert!(said.contains("[redacted]") && !said.contains(secret), "{place}: {said}");
    }
}
