//! The engine over a real store and a real sandbox, with a clock of the test's own.
//! Flows here need no connector; those that do are the end-to-end cases' matter.

mod dead;
mod lifecycle;
mod pauses;
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{Accepted, EngineError, Incoming, ReplayVersion, RunStatus};
use model::RunId;
use serde_json::json;

use support::{DAY_MS, HOOK, Host, clock, id, responding, run_of, test};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_runs_once_within_the_window() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.connect().await;
    host.publish(HOOK).await;
    host.engine.run().expect("running");
    let first = host.send("hook", r#"{"id":"a","n":3}"#).await.expect("accepted");
    assert!(matches!(first, Accepted::Queued { .. }), "{first:?}");
    let again = host.send("hook", r#"{"id":"a","n":3}"#).await.expect("accepted");
    assert!(matches!(&again, Accepted::Duplicate { run } if *run == run_of(&first)), "{again:?}");
    assert_eq!(host.ended(&run_of(&first)).await, RunStatus::Succeeded);
    let view = host.engine.show_run(&run_of(&first)).expect("a run");
    assert_eq!(view.output, Some(json!({ "n": 6 })));

    host.clock.now_ms.fetch_add(2 * DAY_MS, Ordering::SeqCst);
    assert!(matches!(host.send("hook", r#"{"id":"a","n":3}"#).await, Ok(Accepted::Duplicate { .. })));
    host.clock.now_ms.fetch_add(6 * DAY_MS, Ordering::SeqCst);
    assert!(matches!(host.send("hook", r#"{"id":"a","n":3}"#).await, Ok(Accepted::Queued { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_delivery_at_once_becomes_one_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Arc::new(Host::open(folder.path(), &clock(), 2_000));
    host.connect().await;
    host.publish(HOOK).await;
    let senders: Vec<_> = (0..200)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { host.send("hook", r#"{"id":"same","n":1}"#).await.expect("accepted") })
        })
        .collect();
    let mut runs = std::collections::BTreeSet::new();
    let mut queued = 0;
    for sender in senders {
        let accepted = sender.await.expect("a sender");
        queued += usize::from(matches!(accepted, Accepted::Queued { .. }));
        runs.insert(run_of(&accepted));
    }
    assert_eq!((queued, runs.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_runs_after_a_crash() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let before = Host::open(folder.path(), &clock, 100);
    before.connect().await;
    before.publish(HOOK).await;
    // Nothing works here: the host dies with everything still in its queue.
    let mut runs = Vec::new();
    for number in 0..20 {
        let accepted = before.send("hook", &format!(r#"{{"id":"{number}","n":{number}}}"#)).await.expect("accepted");
        runs.push(run_of(&accepted));
    }
    let Host { engine, store, .. } = before;
    drop(engine);
    drop(store);
    let after = Host::open(folder.path(), &clock, 100);
    assert_eq!(after.engine.run().expect("running"), 20);
    for (number, run) in runs.iter().enumerate() {
        assert_eq!(after.ended(run).await, RunStatus::Succeeded);
        assert_eq!(after.engine.show_run(run).expect("a run").output, Some(json!({ "n": number * 2 })));
    }
    let Host { engine, store, .. } = after;
    assert!(engine.drain(Duration::from_secs(5)).await);
    drop(engine);
    drop(store);
    assert_eq!(Host::open(folder.path(), &clock, 100).engine.run().expect("running"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_sender_gets_the_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.connect().await;
    host.publish(&responding()).await;
    host.engine.run().expect("running");
    match host.send("respond", r#"{"id":"a","n":21}"#).await.expect("accepted") {
        Accepted::Completed(result) => {
            assert_eq!((result.status, &*result.output), (RunStatus::Succeeded, &json!({ "n": 42 })));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(host.send("respond", r#"{"id":"a","n":21}"#).await, Ok(Accepted::Duplicate { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_gives_up_is_a_dead_letter_and_can_be_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.connect().await;
    host.publish(HOOK).await;
    host.engine.run().expect("running");
    let failed = run_of(&host.send("hook", r#"{"id":"a","n":{"not":"a number"}}"#).await.expect("accepted"));
    assert_eq!(host.ended(&failed).await, RunStatus::Failed);
    let letters = host.engine.dead_letters(None, 10).expect("readable");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].run, failed);
    assert_eq!(letters[0].step.as_ref().map(model::StepId::as_str), Some("twice"));

    host.publish(&HOOK.replace("{{ trigger.n * 2 }}", "mended")).await;
    let same = host.engine.replay(&failed, ReplayVersion::Original, "ana").await.expect("replayed");
    assert_eq!(host.ended(&same).await, RunStatus::Failed);
    let twice = host.engine.replay(&failed, ReplayVersion::Newest, "ana").await;
    assert!(matches!(twice, Err(EngineError::Conflict(_))), "{twice:?}");
    let mended = host.engine.replay(&same, ReplayVersion::Newest, "ana").await.expect("replayed");
    assert_eq!(host.ended(&mended).await, RunStatus::Succeeded);
    let letters = host.engine.dead_letters(None, 10).expect("readable");
    let replayed_as =
        |run: &RunId| letters.iter().find(|letter| letter.run == *run).and_then(|l| l.replayed_as.clone());
    assert_eq!((replayed_as(&failed), replayed_as(&same)), (Some(same.clone()), Some(mended)));
    let listed = host.engine.runs(Some((&test(), &id("hook"))), Some(RunStatus::Failed), None, 10).expect("readable");
    assert_eq!(listed.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_keep_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 2);
    host.connect().await;
    host.publish(HOOK).await;
    let forged = Incoming { headers: vec![("x-token".to_owned(), "wrong".to_owned())], ..Incoming::default() };
    assert!(matches!(host.engine.accept(&test(), &id("hook"), forged).await, Err(EngineError::Unauthentic(_))));
    assert!(
        matches!(host.send("hok", "{}").await, Err(EngineError::NotFound(problem)) if problem.fix.as_deref() == Some("did you mean hook?"))
    );
    assert!(matches!(host.send("hook", "{").await, Err(EngineError::Invalid(_))));
    // No worker runs: two fill the queue.
    for number in 0..2 {
        host.send("hook", &format!(r#"{{"id":"{number}","n":1}}"#)).await.expect("accepted");
    }
    assert!(matches!(host.send("hook", r#"{"id":"c","n":1}"#).await, Err(EngineError::Busy { .. })));
    assert_eq!(host.engine.runs(None, None, None, 10).expect("readable").len(), 2);
    assert!(host.engine.drain(Duration::from_secs(5)).await);
    assert!(matches!(host.send("hook", r#"{"id":"d","n":1}"#).await, Err(EngineError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_connection_refuses_deliveries() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 10);
    host.connect().await;
    host.publish(HOOK).await;
    host.engine.revoke_connection(&test(), &"hook".parse().expect("a name"), "ana").await.expect("revoked");
    assert!(matches!(host.send("hook", r#"{"id":"a","n":1}"#).await, Err(EngineError::Unauthentic(_))));
    assert!(host.engine.connections()[0].record.revoked.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_read_again_is_refused_and_what_cannot_be_kept_gives_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 10);
    host.connect().await;
    let copy = "  - id: NAME\n    transform: { all: \"{{ trigger.text }}\" }\n";
    let copies: String = (0..6).map(|number| copy.replace("NAME", &format!("copy{number}"))).collect();
    let flow = HOOK.split("steps:").next().expect("a head").to_owned() + "steps:\n" + &copies;
    host.publish(&flow).await;
    host.engine.run().expect("running");
    let deep = format!(r#"{{"id":"a","text":{}{}}}"#, "[".repeat(110), "]".repeat(110));
    assert!(matches!(host.send("hook", &deep).await, Err(EngineError::Invalid(_))));
    // Six copies of 3 MiB are more than one batch of the store takes.
    let large = format!(r#"{{"id":"b","text":"{}"}}"#, "x".repeat(3 << 20));
    let run = run_of(&host.send("hook", &large).await.expect("accepted"));
    assert_eq!(host.ended(&run).await, RunStatus::Failed);
    let letters = host.engine.dead_letters(None, 10).expect("readable");
    assert_eq!(letters[0].problem.code, "too-large");
}
