//! Calls that go well, and every way in which a connector can say that one did not.

use model::{Failure, FieldProblem, Limits};
use sandbox::{Answer, LogLevel, Work};

mod support;
use support::{World, failure, output};

#[tokio::test]
async fn an_action_answers_and_leaves_nothing_behind() {
    let world = World::new().await;
    let input = format!("{{\"text\":\"{}\"}}", "x".repeat(1_000));
    let report = world.invoke("echo", &input).await;
    assert_eq!(output(&report), input);
    assert!(!report.sent && report.accesses.is_empty() && report.log.is_empty());
    assert!(report.memory_bytes > 64 << 10 && report.duration_us > 0, "{report:?}");
    for _ in 0..3 {
        assert_eq!(output(&world.invoke("leave", "").await), "0", "memory of another call was seen");
    }
}

#[tokio::test]
async fn the_call_knows_its_context() {
    let world = World::new().await;
    let report = world.invoke("context", "").await;
    let text = output(&report);
    for wanted in ["attempt: 2", "key-1", "octocat", "repo", "environment: 'test'"] {
        assert!(text.contains(wanted), "{text} has no {wanted}");
    }
}

#[tokio::test]
async fn a_delivery_becomes_events() {
    let world = World::new().await;
    let report = world.receive("happened", b"{\"n\":1}").await;
    let Ok(Answer::Events(events)) = &report.outcome else { panic!("{report:?}") };
    let found: Vec<_> = events.iter().map(|event| (event.dedupe_key.as_deref(), event.payload.as_str())).collect();
    assert_eq!(found, [(Some("q=1"), "{}"), (Some("q=1"), "{\"n\":1}")]);

    let report = world.receive("happened", b"\xff{").await;
    assert!(matches!(failure(&report), Failure::InvalidOutput { fields } if fields[0].path == "/1"), "{report:?}");
    let report = world.receive("many", b"").await;
    assert!(matches!(failure(&report), Failure::InvalidOutput { .. }), "{report:?}");
}

#[tokio::test]
async fn a_check_names_the_account() {
    let world = World::new().await;
    let report = world.sandbox.call(&world.plugin, world.call(Work::Check, Limits::default())).await;
    assert_eq!(report.outcome, Ok(Answer::Account("octocat".to_owned())));
}

#[tokio::test]
async fn every_failure_keeps_its_case() {
    let world = World::new().await;
    let message = || "because".to_owned();
    let scopes = vec!["chat:write".parse().expect("a scope")];
    let field = FieldProblem { path: "/due".to_owned(), expected: "a date".to_owned(), got: "31/12".to_owned() };
    for (kind, wanted) in [
        ("auth-expired", Failure::AuthExpired),
        ("auth-revoked", Failure::AuthRevoked),
        ("missing-scopes", Failure::MissingScopes { scopes }),
        ("rate-limited", Failure::RateLimited { retry_after_ms: Some(1_500) }),
        ("transient", Failure::Transient { message: message() }),
        ("invalid-input", Failure::InvalidInput { fields: vec![field] }),
        ("not-found", Failure::NotFound { message: message() }),
        ("conflict", Failure::Conflict { message: message() }),
        ("remote", Failure::Remote { status: 502, message: message() }),
        ("permanent", Failure::Permanent { message: message() }),
        ("other", Failure::Other { code: "odd".to_owned(), details: serde_json::json!({ "a": 1 }) }),
    ] {
        assert_eq!(failure(&world.invoke("fail", kind).await), &wanted);
    }
}

#[tokio::test]
async fn what_it_prints_is_kept_and_scrubbed() {
    let world = World::new().await;
    let report = world.invoke("print", "token s3cr3t-t0ken\u{1b}[2J").await;
    let lines: Vec<_> = report.log.iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].0 == LogLevel::Info && lines[0].1.starts_with("out: token "), "{lines:?}");
    assert!(lines.iter().all(|(_, text)| !text.contains("s3cr3t-t0ken") && !text.contains('\u{1b}')), "{lines:?}");
}

#[tokio::test]
async fn the_world_outside_is_empty() {
    let world = World::new().await;
    let report = world.invoke("world", "").await;
    assert_eq!(output(&report), r#"{"args":0,"env":0,"files":false,"tcp":false,"dns":false,"udp":false,"stdin":0}"#);
}
