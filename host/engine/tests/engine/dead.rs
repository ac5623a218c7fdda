//! Dead letters: looked at, edited, replayed, discarded; one or many. And runs, found
//! again by time.

use std::sync::atomic::Ordering;

use engine::{DeadFilter, EngineError, Replay, ReplayFrom, ReplayVersion, RunFilter, RunStatus, SettledAs, Treatment};
use model::RunId;
use serde_json::json;

use crate::support::{DAY_MS, HOOK, Host, clock, id, run_of, test};

/// Two steps, the second of which fails on what is no number.
fn two_steps() -> String {
    HOOK.replace("steps:\n", "steps:\n  - id: copy\n    transform: { kept: \"{{ trigger.id }}\" }\n")
        .replace("{{ steps.twice.n }}", "{{ steps.twice.n }}-{{ steps.copy.kept }}")
}

async fn host(folder: &std::path::Path) -> Host {
    let host = Host::open(folder, &clock(), 100);
    host.connect().await;
    host.publish(&two_steps()).await;
    host.engine.run().expect("running");
    host
}

async fn fails(host: &Host, name: &str) -> RunId {
    let body = json!({ "id": name, "n": { "not": "a number" } }).to_string();
    let run = run_of(&host.send("hook", &body).await.expect("accepted"));
    assert_eq!(host.ended(&run).await, RunStatus::Failed);
    run
}

fn open(host: &Host) -> Vec<RunId> {
    let page = host.engine.list_dead(&DeadFilter::default(), None, 100).expect("readable");
    page.letters.into_iter().map(|letter| letter.run).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_event_is_checked_and_settles_the_letter() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = host(folder.path()).await;
    let failed = fails(&host, "a").await;
    let event = |n| ReplayFrom::Start { event: Some(json!({ "id": "edited", "n": n })) };
    let replay = Replay { from: event(4), note: Some("n was no number".into()), ..Replay::default() };
    let again = host.engine.replay_as(&failed, &replay, "ana").await.expect("replayed");
    assert_eq!(host.ended(&again).await, RunStatus::Succeeded);
    assert_eq!(host.engine.show_run(&again).expect("a run").output, Some(json!({ "n": "8-edited" })));
    assert_eq!(open(&host), []);
    let letter = host.engine.dead_letter(&failed).expect("kept");
    assert_eq!(letter.replayed_as, Some(again));
    let settled = letter.settled.expect("settled");
    assert_eq!((settled.how, settled.note.as_deref()), (SettledAs::Replayed, Some("n was no number")));
    let twice = host.engine.replay_as(&failed, &replay, "ana").await;
    assert!(matches!(twice, Err(EngineError::Conflict(_))), "{twice:?}");

    let typed = two_steps().replace(
        "  connection: hook\n",
        "  connection: hook\n  event: { type: object, properties: { id: { type: string }, n: { type: integer } } }\n",
    );
    let failed = fails(&host, "b").await;
    host.publish(&typed).await;
    let wrong = Replay {
        version: ReplayVersion::Newest,
        from: ReplayFrom::Start { event: Some(json!({ "n": "x" })) },
        ..Replay::default()
    };
    match host.engine.replay_as(&failed, &wrong, "ana").await {
        Err(EngineError::Invalid(problems)) => assert_eq!(problems[0].field.as_deref(), Some("trigger.n")),
        other => panic!("{other:?}"),
    }
    assert_eq!(open(&host), std::slice::from_ref(&failed), "what was refused settles nothing");
    let silent = Replay { from: event(5), ..Replay::default() };
    let again = host.engine.replay_as(&failed, &silent, "ana").await.expect("replayed");
    assert_eq!(host.ended(&again).await, RunStatus::Succeeded);
    let settled = host.engine.dead_letter(&failed).expect("kept").settled.expect("settled");
    assert_eq!(settled.note.as_deref(), Some("with another event"), "what was replaced is told without a note too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_step_on_what_came_before_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = host(folder.path()).await;
    let failed = fails(&host, "a").await;
    host.publish(&two_steps().replace("{{ trigger.n * 2 }}", "mended").replace("{{ trigger.id }}", "made anew")).await;
    let from = |step: &str| ReplayFrom::Step { step: step.parse().expect("a name"), input: None };
    let replay = |step| Replay { version: ReplayVersion::Newest, from: from(step), ..Replay::default() };
    let nowhere = host.engine.replay_as(&failed, &replay("nowhere"), "ana").await;
    assert!(matches!(nowhere, Err(EngineError::Invalid(_))), "{nowhere:?}");
    let input = Replay {
        from: ReplayFrom::Step { step: "twice".parse().expect("a name"), input: Some(json!({})) },
        ..Replay::default()
    };
    let no_action = host.engine.replay_as(&failed, &input, "ana").await;
    assert!(matches!(no_action, Err(EngineError::Invalid(_))), "a transform has no input: {no_action:?}");
    let preview = host.engine.preview(&failed, &replay("twice"), "ana").expect("a preview");
    assert_eq!((preview.version, preview.calls.len(), preview.end.as_str()), (2, 0, "the run would end: succeeded"));
    assert_eq!(open(&host), std::slice::from_ref(&failed), "a preview keeps nothing");
    let again = host.engine.replay_as(&failed, &replay("twice"), "ana").await.expect("replayed");
    assert_eq!(host.ended(&again).await, RunStatus::Succeeded);
    let view = host.engine.show_run(&again).expect("a run");
    assert_eq!(view.output, Some(json!({ "n": "mended-a" })), "the step before was not evaluated again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_settled_by_filter_and_the_rest_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = host(folder.path()).await;
    host.publish(&two_steps().replace("id: hook\nname", "id: other\nname")).await;
    let mut failed = Vec::new();
    for number in 0..5 {
        failed.push(fails(&host, &number.to_string()).await);
    }
    let other = {
        let body = r#"{"id":"x","n":{"not":"a number"}}"#;
        let run = run_of(&host.send("other", body).await.expect("accepted"));
        assert_eq!(host.ended(&run).await, RunStatus::Failed);
        run
    };
    let note = Some("a test".to_owned());
    let discarded = host.engine.discard(&failed[0], note.clone(), "ana").await.expect("discarded");
    assert_eq!(discarded.settled.map(|settled| (settled.how, settled.note)), Some((SettledAs::Discarded, note)));
    assert!(matches!(host.engine.discard(&failed[0], None, "ana").await, Err(EngineError::Conflict(_))));
    assert!(matches!(
        host.engine.replay(&failed[0], ReplayVersion::Original, "ana").await,
        Err(EngineError::Conflict(_))
    ));

    host.publish(&two_steps().replace("{{ trigger.n * 2 }}", "mended")).await;
    let filter = DeadFilter { flow: Some(id("hook")), ..DeadFilter::default() };
    let replay = Replay { version: ReplayVersion::Newest, ..Replay::default() };
    let done = host.engine.settle_many(&filter, &Treatment::Replay(Box::new(replay)), "ana").await.expect("settled");
    let runs: Vec<&RunId> = done.settled.iter().map(|settled| &settled.run).collect();
    assert_eq!(runs.len(), 4);
    assert!(failed[1..].iter().all(|run| runs.contains(&run)), "{done:?}");
    assert!(!done.more && done.refused.is_empty());
    for settled in &done.settled {
        let again = settled.replayed_as.as_ref().expect("a run in its place");
        assert_eq!(host.ended(again).await, RunStatus::Succeeded);
    }
    assert_eq!(open(&host), [other]);
    let all = DeadFilter { settled: true, ..DeadFilter::default() };
    let mut seen = 0;
    let mut before = None;
    loop {
        let page = host.engine.list_dead(&all, before.as_ref(), 2).expect("readable");
        seen += page.letters.len();
        let Some(next) = page.next else { break };
        before = Some(next);
    }
    assert_eq!(seen, 6, "pages of open and settled letters are whole and without doubles");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_found_by_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = host(folder.path()).await;
    let start = host.engine.now_ms();
    let mut runs = Vec::new();
    for day in 0..4 {
        let sent = host.send("hook", &format!(r#"{{"id":"{day}","n":1}}"#)).await.expect("accepted");
        assert_eq!(host.ended(&run_of(&sent)).await, RunStatus::Succeeded);
        runs.push(run_of(&sent));
        host.clock.now_ms.fetch_add(DAY_MS, Ordering::SeqCst);
    }
    let found = |since: Option<u64>, until: Option<u64>| {
        let filter = RunFilter {
            of: Some((test(), id("hook"))),
            since_ms: since.map(|day| start + day * DAY_MS),
            until_ms: until.map(|day| start + day * DAY_MS),
            ..RunFilter::default()
        };
        let page = host.engine.list_runs(&filter, None, 10).expect("readable");
        page.runs.into_iter().map(|run| run.record.id).collect::<Vec<_>>()
    };
    assert_eq!(found(Some(1), Some(3)), [runs[2].clone(), runs[1].clone()]);
    assert_eq!(found(Some(3), None), [runs[3].clone()]);
    assert_eq!(found(None, Some(1)), [runs[0].clone()]);
    let page = host.engine.list_runs(&RunFilter::default(), None, 3).expect("readable");
    let rest = host.engine.list_runs(&RunFilter::default(), page.next.as_ref(), 3).expect("readable");
    assert_eq!((page.runs.len(), rest.runs.len(), rest.next), (3, 1, None));
}
