//! Answers that are none: too large, no JSON, no text, no answer at all.

use guest_tests::Stage;
use model::{Failure, Remedy};
use sandbox::Answer;

use crate::{crash, limit};

/// One host call carries the largest of these, and a mebibyte for all else.
const SMALL: &str = "output_bytes = 100000\nrequest_bytes = 100000\nfile_bytes = 0";
const HOST_CALL_BYTES: u64 = 100_000 + (1 << 20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn huge_output() {
    let stage = Stage::open().await;
    let act = |bytes: u64| stage.act("huge-output").limits(SMALL).input(bytes.to_string()).run();
    let fits = act(99_998).await.outcome;
    assert!(matches!(&fits, Ok(Answer::Output(text)) if text.len() == 100_000), "{fits:?}");
    assert_eq!(act(99_999).await.outcome, limit("output_bytes", 100_000));
    assert_eq!(act(5_000_000).await.outcome, limit("host_call_bytes", HOST_CALL_BYTES));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn invalid_json() {
    let stage = Stage::open().await;
    for text in ["", "{oops", "NaN", "'x'", "1 2", "{} //", "deep", "nested"] {
        let outcome = stage.act("invalid-json").text(text).run().await.outcome;
        let Err(Failure::InvalidOutput { fields }) = outcome else { panic!("{text}: {outcome:?}") };
        let [field] = fields.as_slice() else { panic!("{text}: {fields:?}") };
        assert_eq!((field.path.as_str(), field.expected.as_str()), ("", "a JSON document"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn bad_utf8() {
    let report = Stage::open().await.act("bad-utf8").run().await;
    assert!(crash(&report).contains("utf-8"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn panic() {
    let report = Stage::open().await.act("panic").input("7").run().await;
    assert!(crash(&report).contains("the sky fell on 7"), "{report:?}");
    assert!(report.log.iter().any(|line| line.message.contains("the sky fell on 7")), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn trap() {
    let report = Stage::open().await.act("trap").run().await;
    assert!(crash(&report).contains("unreachable"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn exit() {
    let report = Stage::open().await.act("exit").run().await;
    assert_eq!(crash(&report), "it ended itself with exit code 0");
    assert_eq!(report.outcome.map_err(|failure| failure.remedy()), Err(Remedy::Retry));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn huge_error() {
    let stage = Stage::open().await;
    let act = |bytes: u64| stage.act("huge-error").limits(SMALL).input(bytes.to_string()).run();
    assert_eq!(act(100_000).await.outcome, Err(Failure::Permanent { message: "x".repeat(4_000) }));
    assert_eq!(act(5_000_000).await.outcome, limit("host_call_bytes", HOST_CALL_BYTES));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn list_bomb() {
    let stage = Stage::open().await;
    let report = stage.act("list-bomb").limits(SMALL).text(&stage.receiver.origin()).run().await;
    assert_eq!(report.outcome, limit("host_call_bytes", HOST_CALL_BYTES));
    assert_eq!(stage.receiver.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn event_flood() {
    let stage = Stage::open().await;
    let act = |which: &str| stage.act("event-flood").limits(SMALL).text(which).delivery().run();
    assert_eq!(act("keys").await.outcome, limit("host_call_bytes", HOST_CALL_BYTES));
    assert_eq!(act("payloads").await.outcome, limit("host_call_bytes", HOST_CALL_BYTES));
    for (which, path, got) in [("many", "", "5000"), ("broken", "/1", "key must be a string")] {
        let outcome = act(which).await.outcome;
        let Err(Failure::InvalidOutput { fields }) = outcome else { panic!("{which}: {outcome:?}") };
        assert_eq!(fields[0].path, path, "{which}");
        assert!(fields[0].got.contains(got), "{which}: {fields:?}");
    }
}
