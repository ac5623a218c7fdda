//! Lies in errors: what a guest claims is cut, sorted and never believed further than
//! its form allows.

use guest_tests::Stage;
use model::{Failure, FieldProblem};

use crate::hidden;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn lying_scopes() {
    let report = Stage::open().await.act("lying-scopes").run().await;
    let Err(Failure::MissingScopes { scopes }) = report.outcome else { panic!("{:?}", report.outcome) };
    assert!(scopes.len() <= 50, "{}", scopes.len());
    assert_eq!(scopes[0].as_str(), "chat:write", "what is no scope is left out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn lying_fields() {
    let report = Stage::open().await.act("lying-fields").run().await;
    let Err(Failure::InvalidInput { fields }) = report.outcome else { panic!("{:?}", report.outcome) };
    assert!(fields.len() <= 50, "{}", fields.len());
    for FieldProblem { path, expected, got } in &fields {
        for text in [path, expected, got] {
            assert!(text.chars().count() <= 4_000, "{} characters", text.chars().count());
            assert!(!hidden(text), "{text:?}");
        }
    }
    let paths: Vec<&str> = fields[1..8].iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["", "", "", "", "/\\u{1b}[2J", "/a/b", "/0"], "what is no JSON Pointer names the whole input");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn lying_answers() {
    let stage = Stage::open().await;
    for which in ["code", "deep"] {
        let outcome = stage.act("lying-answers").text(which).run().await.outcome;
        let Err(Failure::Other { code, details }) = outcome else { panic!("{which}: {outcome:?}") };
        assert!(code.chars().count() <= 4_000, "{} characters", code.chars().count());
        assert!(details.is_string(), "what is no JSON is kept as text: {details}");
    }
    for (which, status) in [("zero", 0), ("far", u16::MAX)] {
        let outcome = stage.act("lying-answers").text(which).run().await.outcome;
        let Err(Failure::Permanent { message }) = outcome else { panic!("{which}: {outcome:?}") };
        assert!(message.contains(&format!("HTTP status {status}, which does not exist: no")), "{message}");
    }
    let outcome = stage.act("lying-answers").text("forever").run().await.outcome;
    assert_eq!(outcome, Err(Failure::RateLimited { retry_after_ms: Some(24 * 3_600_000) }), "a day at most");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn lying_account() {
    let stage = Stage::open().await;
    for attempt in 1..=4 {
        let outcome = stage.act("lying-account").attempt(attempt).check().run().await.outcome;
        let Err(Failure::InvalidOutput { fields }) = outcome else { panic!("{attempt}: {outcome:?}") };
        assert!(!fields[0].got.contains(char::is_control) && fields[0].got.len() < 300, "{fields:?}");
    }
}
