//! `wasi:http`: the same decisions as `fetch`, with streams.

use guest_tests::{SECRET, Stage};
use model::{AccessRecord, Failure};
use sandbox::Answer;

use crate::{denial, limit, told};

/// Without what depends on the moment.
fn plain(access: &AccessRecord) -> AccessRecord {
    AccessRecord { at_ms: 0, duration_ms: 0, ..access.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn wasi_http() {
    let stage = Stage::open().await;
    let origin = stage.receiver.origin();

    // A permitted request, with the credential that the guest does not have.
    let act = stage.act("wasi-http").connected();
    let report = act.text(&format!("POST {origin}/base/letters a-body-in-pieces")).run().await;
    assert_eq!(told(&report)[..2], ["answered 200", "ok"]);
    let head = stage.receiver.heads().pop().expect("a request");
    assert!(head.starts_with("POST /base/letters HTTP/1.1\r\n"), "{head}");
    for line in [
        format!("authorization: Bearer {SECRET}"),
        format!("host: {}", stage.receiver.authority()),
        "x-mine: yes".to_owned(),
    ] {
        assert_eq!(head.lines().filter(|found| found.eq_ignore_ascii_case(&line)).count(), 1, "{line} in {head}");
    }
    assert_eq!(stage.receiver.bodies(), [b"a-body-in-pieces"]);
    let [access] = report.accesses.as_slice() else { panic!("{:?}", report.accesses) };
    assert!(access.allowed && access.status == Some(200) && access.error.is_none(), "{access:?}");
    assert_eq!((access.sent_bytes, access.received_bytes, report.sent), (16, 2, true));

    // A denied one: the code that fits, and the host's own word on it.
    let report = stage.act("wasi-http").text(&format!("GET {}/", stage.canary.origin())).run().await;
    assert!(denial(&report).contains("no rule of grant wasi-http for act means it"), "{report:?}");
    assert_eq!((stage.canary.connections(), report.sent), (0, false));

    // A redirect is shown, and never followed.
    let text = format!("GET {origin}/to/{}", stage.canary.authority());
    let report = stage.act("wasi-http").text(&text).run().await;
    let told_of = told(&report);
    assert_eq!(told_of[0], "answered 302");
    assert!(told_of.contains(&format!("location: http://{}/", stage.canary.authority())), "{told_of:?}");
    assert_eq!((report.accesses.len(), stage.canary.connections()), (1, 0));
}

/// What the guest `wasi-http` meets at the edges.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wasi_http_at_its_limits() {
    let stage = Stage::open().await;
    let origin = stage.receiver.origin();
    let get = |path: &str| stage.act("wasi-http").text(&format!("GET {origin}{path}"));

    let report = get("/bytes/5000").limits("response_bytes = 4999").run().await;
    assert_eq!(told(&report)[0], "answered 200, then HttpResponseBodySize(Some(4999))");
    let [access] = report.accesses.as_slice() else { panic!("{:?}", report.accesses) };
    assert_eq!(access.error.as_deref(), Some("the answer is larger than response_bytes"));
    assert_eq!(told(&get("/bytes/5000").limits("response_bytes = 5000").run().await)[0], "answered 200");

    let act = stage.act("wasi-http").text(&format!("POST {origin}/ fives"));
    assert_eq!(act.limits("request_bytes = 4").run().await.outcome, limit("request_bytes", 4));

    // The guest waits as a guest does; the call's own time ends it.
    assert_eq!(get("/stall").limits("wall_ms = 300").run().await.outcome, limit("wall_ms", 300));
    // One that reads already is told so, just before or not any more.
    let report = get("/half").limits("wall_ms = 300").run().await;
    let was_told = || told(&report)[0] == "answered 200, then HttpResponseTimeout";
    assert!(report.outcome == limit("wall_ms", 300) || was_told(), "{report:?}");
    assert_eq!(get("/").limits("requests = 0").run().await.outcome, limit("requests", 0));
}

/// The host keeps what a guest sets on a request, and the guest may hold many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wasi_http_takes_no_endless_words() {
    let stage = Stage::open().await;
    let origin = stage.receiver.origin();
    let long = |bytes: usize| "a".repeat(bytes);
    for (text, refused) in [
        (format!("{} {origin}/", long(33)), "method"),
        (format!("GET http://{}/", long(301)), "authority"),
        (format!("GET {origin}/{}", long(16 << 10)), "path"),
    ] {
        let report = stage.act("wasi-http").text(&text).run().await;
        let Err(Failure::Transient { message }) = &report.outcome else { panic!("{refused}: {report:?}") };
        assert!(message.starts_with(refused), "{refused}: {message}");
        assert!(report.accesses.is_empty() && !report.sent, "{refused}: {:?}", report.accesses);
    }
    // A path that may be, in a URL that may not.
    let report = stage.act("wasi-http").text(&format!("GET {origin}/{}", long((16 << 10) - 1))).run().await;
    assert_eq!(report.outcome, limit("url_bytes", 16 << 10));
    assert!(report.accesses.is_empty() && !report.sent, "{:?}", report.accesses);
    assert_eq!(stage.receiver.connections(), 0);
    let path = long(4_000);
    assert_eq!(told(&stage.act("wasi-http").text(&format!("GET {origin}/{path}")).run().await)[0], "answered 200");
}

/// A grant may give smaller heads than the host takes, and this way keeps to them too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wasi_http_keeps_to_smaller_heads() {
    let stage = Stage::open().await;
    let url = format!("{}/", stage.receiver.origin());
    let get = || stage.act("wasi-http").text(&format!("GET {url}"));
    // The guest sets one header: `x-mine: yes`, nine bytes.
    let sizes = [("url_bytes", url.len() as u64), ("request_headers", 1), ("request_header_bytes", 9)];
    for (which, fits) in sizes {
        let report = get().limits(&format!("{which} = {}", fits - 1)).run().await;
        assert_eq!(report.outcome, limit(which, fits - 1), "{which}");
        // Headers are looked at when the destination is decided on, and that is on record.
        let not_sent = |access: &AccessRecord| access.error.as_deref().is_some_and(|error| error.contains(which));
        assert!(report.accesses.iter().all(not_sent) && !report.sent, "{which}: {report:?}");
    }
    assert_eq!(stage.receiver.connections(), 0, "nothing has left");
    let all = sizes.map(|(which, fits)| format!("{which} = {fits}\n")).concat();
    assert_eq!(told(&get().limits(&all).run().await)[0], "answered 200");
    // An answer is looked at when it is here.
    let report = get().limits("response_header_bytes = 3").run().await;
    assert_eq!((report.outcome, report.sent), (limit("response_header_bytes", 3), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wasi_http_shows_no_secret() {
    let stage = Stage::open().await;
    for path in ["reflect", "trickle"] {
        let text = format!("GET {}/base/{path}", stage.receiver.origin());
        let report = stage.act("wasi-http").connected().text(&text).run().await;
        let told = told(&report);
        assert!(told[1].contains("reflected") && told[1].matches("[redacted]").count() >= 6, "{path}: {told:?}");
        let all = format!("{report:?}");
        for form in [SECRET.to_owned(), hex::encode(SECRET), SECRET[..12].to_owned()] {
            assert!(!all.contains(&form), "{path}: {form} in {all}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn two_ways() {
    let stage = Stage::open().await;
    let (port, canary) = (stage.receiver.port(), stage.canary.port());
    let asked = [
        format!("GET http://127.0.0.1:{port}/"),
        format!("GET http://127.0.0.1:{port}/a/../b?c"),
        format!("GET http://127.0.0.1:{canary}/"),
        format!("GET http://localhost:{port}/"),
        format!("GET http://rebound.example.com:{port}/"),
        format!("GET http://2130706433:{port}/"),
        format!("GET http://0x7f.1:{port}/"),
        format!("GET http://[::ffff:127.0.0.1]:{port}/"),
        format!("GET http://user@127.0.0.1:{port}/"),
        format!("GET http://127.0.0.1.:{port}/"),
        format!("GET https://127.0.0.1:{port}/"),
        format!("GET ftp://127.0.0.1:{port}/"),
        format!("TRACE http://127.0.0.1:{port}/"),
        format!("CONNECT http://127.0.0.1:{port}/"),
        format!("BREW http://127.0.0.1:{port}/"),
        format!("GET http://127.0.0.1:{port}/..%2fadmin"),
        "GET http://169.254.169.254/latest/meta-data".to_owned(),
        "GET http://metadata.google.internal/".to_owned(),
    ];
    let granted = ["127.0.0.1", "localhost", "rebound.example.com"].map(|host| format!("GET http://{host}:{port}/**"));
    let report = stage.act("two-ways").granted(granted).text(&asked.join(";")).run().await;
    let (told, mut accesses) = (told(&report), report.accesses.iter());
    assert_eq!(told.len(), 2 * asked.len());
    for (asked, told) in asked.iter().zip(told.chunks(2)) {
        let denied = told[0].starts_with("denied");
        // What is no URL for one is not even asked for by the other.
        if told[0].starts_with("invalid") || ["authority", "scheme", "method", "path"].contains(&&*told[1]) {
            assert!(!told[1].starts_with("answered") && !told[0].starts_with("answered"), "{asked}: {told:?}");
            continue;
        }
        assert_eq!(
            denied,
            told[1].starts_with("HttpRequestDenied") || told[1] == "DestinationIpProhibited",
            "{asked}: {told:?}"
        );
        let (first, second) = (accesses.next().expect("a record"), accesses.next().expect("a record"));
        assert_eq!(plain(first), plain(second), "{asked}");
        assert_eq!(first.allowed, !denied, "{asked}: {first:?}");
    }
    assert_eq!(stage.canary.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn header_tricks() {
    let stage = Stage::open().await;
    let url = format!("{}/base/x", stage.receiver.origin());
    let report = stage.act("header-tricks").connected().text(&url).run().await;
    let told = told(&report);
    let (forbidden, rest) = told.split_at(21);
    for text in forbidden {
        assert!(text.starts_with("header ") && text.ends_with("Forbidden"), "{text}");
    }
    let (malformed, lengths) = rest.split_at(5);
    for text in malformed {
        assert!(text.starts_with("header ") && text.ends_with("InvalidSyntax"), "{text}");
    }
    assert!(lengths[..3].iter().all(|text| !text.starts_with("answered")), "{lengths:?}");
    assert_eq!(lengths[3], "answered 200");
    assert_eq!(stage.receiver.bodies(), [b"four"], "no other body came whole");
    for head in stage.receiver.heads() {
        assert_eq!(head.matches("evil").count() + head.matches(": x\r\n").count(), 0, "{head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn hoard_streams() {
    let stage = Stage::open().await;
    let url = format!("{}/bytes/200000", stage.receiver.origin());
    let report = stage.act("hoard-streams").limits("requests = 40").text(&url).run().await;
    assert_eq!(report.outcome, Ok(Answer::Output("\"40 and then ConnectionLimitReached\"".to_owned())));
    assert_eq!(report.accesses.len(), 40);
    for access in &report.accesses {
        assert_eq!(access.error.as_deref(), Some("the call ended before the answer"), "{access:?}");
    }
    // Those under way are as many as the grant says; the next one does not wait for them.
    let act = stage.act("hoard-streams").limits("requests = 40\nconcurrency = 5\nwall_ms = 700");
    let report = act.text(&url).run().await;
    assert_eq!(report.outcome, Ok(Answer::Output("\"5 and then ConnectionLimitReached\"".to_owned())));
    assert_eq!(report.accesses.iter().filter(|access| access.status.is_some()).count(), 5, "{:?}", report.accesses);

    let report = stage.act("hoard-streams").text(&format!("bodies {url}")).run().await;
    assert_eq!(report.outcome, limit("handles", 1_000));
    assert!(!report.sent && report.accesses.is_empty(), "none of them was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn drop_streams() {
    let stage = Stage::open().await;
    let report = stage.act("drop-streams").text(&stage.receiver.origin()).run().await;
    let told = told(&report);
    assert!(told[0].contains("the connector dropped the body before it was finished"), "{told:?}");
    assert_eq!(told[1..], ["answered 200", "answered 200"]);
    assert!(report.accesses.iter().all(|access| access.allowed), "{:?}", report.accesses);
    assert!(stage.receiver.bodies().is_empty(), "half a body is none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn cut_body() {
    let stage = Stage::open().await;
    let report = stage.act("cut-body").text(&format!("{}/", stage.receiver.origin())).run().await;
    assert!(matches!(report.outcome, Err(Failure::Crashed { .. })), "{report:?}");
    assert!(report.sent);
    while stage.receiver.broken() == 0 {
        assert!(stage.receiver.bodies().is_empty(), "half a body passed for a whole one");
        tokio::task::yield_now().await;
    }
    assert!(stage.receiver.bodies().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn live_sources() {
    let stage = Stage::open().await;
    let first = told(&stage.act("live-sources").run().await);
    let second = told(&stage.act("live-sources").run().await);
    for told in [&first, &second] {
        // 2026-01-01: no machine that builds this is older.
        assert!(told[0].parse::<u64>().expect("seconds") > 1_767_225_600, "{told:?}");
        assert!(told[1].parse::<u64>().expect("nanoseconds") >= 2_000_000, "{told:?}");
    }
    for source in 2..5 {
        assert_ne!(first[source], second[source], "chance was the same twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn library_client() {
    let stage = Stage::open().await;
    let url = format!("{}/base/x", stage.receiver.origin());
    let report = stage.act("library-client").connected().text(&url).run().await;
    assert_eq!(told(&report), ["200 ok", "200 ok"]);
    assert_eq!(stage.receiver.bodies(), [b"from a library"]);
    assert!(stage.receiver.heads().iter().all(|head| head.contains(&format!("Bearer {SECRET}"))));
    let report = stage.act("library-client").text(&stage.canary.origin()).run().await;
    for text in told(&report) {
        assert!(text.contains("HttpRequestDenied"), "{text}");
    }
    assert_eq!(stage.canary.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_over_http() {
    let stage = Stage::open().await;
    let manifest = stage.describe("describe-over-http").await.expect("a manifest");
    assert_eq!(manifest.data, "HttpRequestDenied");
}
