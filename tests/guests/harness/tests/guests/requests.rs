//! Requests to a place that a guest may reach, shaped as they may not be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guest_tests::{SECRET, Stage};
use model::Failure;
use sandbox::Answer;

use crate::{limit, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn forbidden_headers() {
    let stage = Stage::open().await;
    let report = stage.act("forbidden-headers").text(&stage.receiver.origin()).run().await;
    let told = told(&report);
    assert_eq!(told.len(), 22);
    assert!(told.iter().all(|text| text.starts_with("invalid ")), "{told:#?}");
    assert!(report.accesses.iter().all(|access| access.error.is_some() && access.status.is_none()));
    assert_eq!((stage.receiver.connections(), report.sent), (0, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn smuggle_requests() {
    let stage = Stage::open().await;
    let report = stage.act("smuggle-requests").text(&stage.receiver.origin()).run().await;
    let told = told(&report);
    let (methods, rest) = told.split_at(6);
    assert!(methods.iter().all(|text| text.starts_with("denied ") || text.starts_with("invalid ")), "{methods:#?}");
    let heads = stage.receiver.heads();
    let answered = rest.iter().filter(|text| *text == "answered 200").count();
    assert_eq!(heads.len(), answered, "one request for each that was sent: {heads:#?}");
    for head in heads {
        assert!(
            head.starts_with("GET /one%20HTTP/1.1x-smuggled:%20yesGET%20/two HTTP/1.1\r\n")
                || head.starts_with("POST /one HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(!head.to_lowercase().contains("\nx-smuggled"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn request_flood() {
    let stage = Stage::open().await;
    let report = stage.act("request-flood").limits("requests = 5").text(&stage.receiver.origin()).run().await;
    assert_eq!(report.outcome, limit("requests", 5), "the host's record, not the guest's claim");
    assert_eq!((stage.receiver.heads().len(), report.accesses.len()), (5, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn huge_request() {
    let stage = Stage::open().await;
    let act = stage.act("huge-request").limits("request_bytes = 100000").text(&stage.receiver.origin());
    let report = act.run().await;
    assert_eq!(report.outcome, limit("url_bytes", 16_384), "the first of them");
    let act =
        stage.act("huge-request").limits("request_bytes = 100000\nurl_bytes = 2000").text(&stage.receiver.origin());
    let report = act.run().await;
    assert_eq!(report.outcome, limit("url_bytes", 2_000), "a grant may give less");
    assert_eq!((stage.receiver.connections(), report.sent), (0, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn echo_secret() {
    let stage = Stage::open().await;
    let forms = [SECRET.to_owned(), STANDARD.encode(SECRET), hex::encode(SECRET), hex::encode_upper(SECRET)];
    for way in ["answer", "error", "other", "panic"] {
        let report = stage.act("echo-secret").connected().text(way).run().await;
        let fits = match &report.outcome {
            Ok(Answer::Output(text)) => way == "answer" && text.contains("[redacted]"),
            Err(Failure::Permanent { message }) => way == "error" && message.contains("[redacted]"),
            Err(Failure::Other { code, .. }) => way == "other" && code.contains("[redacted]"),
            Err(Failure::Crashed { message }) => way == "panic" && message.contains("[redacted]"),
            _ => false,
        };
        assert!(fits, "{way}: {:?}", report.outcome);
        let everything = format!("{report:?}");
        for form in forms.iter().map(String::as_str).chain(["canary", "6B2D63616E617279", "%63%61%6E%61%72%79"]) {
            assert!(!everything.contains(form), "{way}: {form} came through: {everything}");
        }
    }
    let carried = format!("authorization: Bearer {SECRET}");
    assert!(stage.receiver.heads().iter().all(|head| head.contains(&carried)), "the remote did have it");
    assert_eq!(stage.receiver.heads().len(), 4);
}
