//! A flow's life: drafts, versions, pauses by people and by the host, the end.

use std::time::Duration;

use engine::{EngineError, FlowState, RunFilter, RunStatus, Which};
use flow::Format;
use serde_json::json;

use crate::support::{HOOK, Host, clock, id, run_of, test};

const CALLED: &str = "
version: 1
id: called
name: Called
trigger: { call: {} }
steps: [{ id: paid, wait: { event: invoice.paid, key: '1', timeout: 1d } }]
";
const CALLER: &str = "
version: 1
id: caller
name: Caller
trigger: { manual: {} }
steps: [{ id: go, call: called }]
";

async fn state(host: &Host, flow: &str) -> FlowState {
    host.engine.flow(&test(), &id(flow)).expect("a flow").state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_flow_keeps_its_events_across_a_crash_and_runs_them_when_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.connect().await;
    host.publish(HOOK).await;
    host.engine.run().expect("running");
    let paused = host.engine.pause_flow(&test(), &id("hook"), "ana").await.expect("paused");
    assert_eq!((paused.state, paused.paused.map(|paused| paused.by).as_deref()), (FlowState::Paused, Some("ana")));
    let mut runs = Vec::new();
    for number in 0..5 {
        let sent = host.send("hook", &format!(r#"{{"id":"{number}","n":{number}}}"#)).await;
        runs.push(run_of(&sent.expect("accepted while it is paused")));
    }
    host.settled().await;
    assert!(host.engine.drain(Duration::from_secs(5)).await);
    let host = host.crash(folder.path());
    assert_eq!(host.engine.run().expect("running"), 5);
    host.settled().await;
    for run in &runs {
        assert_eq!(host.engine.run_record(run).expect("a run").status, RunStatus::Running);
    }
    let listed = host.engine.list_runs(&RunFilter::default(), None, 10).expect("listed").runs;
    assert!(listed.iter().all(|run| run.waits_for.as_deref() == Some("flow hook, which ana paused")), "{listed:?}");
    host.publish(&HOOK.replace("* 2", "* 3")).await;
    assert_eq!(state(&host, "hook").await, FlowState::Paused, "publishing does not undo what a person said");
    host.engine.resume_flow(&test(), &id("hook")).await.expect("resumed");
    for (number, run) in runs.iter().enumerate() {
        assert_eq!(host.ended(run).await, RunStatus::Succeeded);
        assert_eq!(host.engine.show_run(run).expect("a run").output, Some(json!({ "n": number * 2 })));
    }
    let again = host.engine.resume_flow(&test(), &id("hook")).await;
    assert!(matches!(again, Err(EngineError::Conflict(_))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_runs_nothing_until_it_is_published() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.connect().await;
    let save = async |document: &str| host.engine.save_flow(document, Format::Yaml, "f.yaml", &test(), "ana").await;
    let view = save(HOOK).await.expect("saved");
    assert_eq!((view.state, view.version), (FlowState::Draft, 0));
    assert_eq!(host.engine.flows().expect("readable").len(), 1);
    assert!(matches!(host.send("hook", "{}").await, Err(EngineError::NotFound(_))));
    let published = host.engine.publish_flow(&test(), &id("hook"), "ana").await.expect("published");
    assert_eq!((published.state, published.version, published.draft_saved_at_ms), (FlowState::Published, 1, None));
    assert!(matches!(host.engine.publish_flow(&test(), &id("hook"), "ana").await, Err(EngineError::NotFound(_))));

    let wrong = save(&HOOK.replace("trigger.n", "triger.n")).await;
    assert!(matches!(wrong, Err(EngineError::Invalid(_))), "a draft passes its check too");
    save(&HOOK.replace("* 2", "* 3")).await.expect("saved");
    let diff = host.engine.diff_flow(&test(), &id("hook"), Which::Published, Which::Draft).expect("a diff");
    assert!(diff.contains("-    transform: { n: \"{{ trigger.n * 2 }}\" }"), "{diff}");
    assert!(diff.contains("+    transform: { n: \"{{ trigger.n * 3 }}\" }"), "{diff}");
    host.engine.run().expect("running");
    let run = run_of(&host.send("hook", r#"{"id":"a","n":1}"#).await.expect("accepted"));
    assert_eq!(host.ended(&run).await, RunStatus::Succeeded);
    assert_eq!(host.engine.show_run(&run).expect("a run").output, Some(json!({ "n": 2 })), "the draft is not run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_back_takes_an_earlier_version_and_numbers_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.connect().await;
    for factor in [2, 3, 4] {
        host.publish(&HOOK.replace("* 2", &format!("* {factor}"))).await;
    }
    let back = host.engine.rollback_flow(&test(), &id("hook"), Some(1)).await.expect("rolled back");
    assert_eq!(back.version, 1);
    let nowhere = host.engine.rollback_flow(&test(), &id("hook"), Some(9)).await;
    assert!(matches!(nowhere, Err(EngineError::NotFound(_))), "{nowhere:?}");
    let first = host.engine.rollback_flow(&test(), &id("hook"), None).await;
    assert!(matches!(first, Err(EngineError::NotFound(_))), "nothing comes before the first: {first:?}");
    let host = host.crash(folder.path());
    host.engine.run().expect("running");
    let run = run_of(&host.send("hook", r#"{"id":"a","n":1}"#).await.expect("accepted"));
    assert_eq!(host.ended(&run).await, RunStatus::Succeeded);
    let view = host.engine.show_run(&run).expect("a run");
    assert_eq!((view.record.version, view.output), (1, Some(json!({ "n": 2 }))));
    host.publish(&HOOK.replace("* 2", "* 5")).await;
    let versions = host.engine.flow_versions(&test(), &id("hook")).expect("readable");
    let numbers: Vec<(u32, bool)> = versions.iter().map(|version| (version.version, version.published)).collect();
    assert_eq!(numbers, [(4, true), (3, false), (2, false), (1, false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_back_is_refused_where_flows_would_call_each_other_without_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    let flow = |id: &str, calls: Option<&str>| {
        let steps = calls.map_or_else(|| "[]".to_owned(), |calls| format!("[{{ id: go, call: {calls} }}]"));
        format!("version: 1\nid: {id}\nname: X\ntrigger: {{ call: {{}} }}\nsteps: {steps}\n")
    };
    host.publish(&flow("leaf", None)).await;
    host.publish(&flow("one", Some("leaf"))).await;
    host.publish(&flow("one", None)).await;
    host.publish(&flow("leaf", Some("one"))).await;
    let rolled = host.engine.rollback_flow(&test(), &id("one"), Some(1)).await;
    let Err(EngineError::Invalid(problems)) = rolled else { panic!("{rolled:?}") };
    assert_eq!((problems.len(), problems[0].code.as_str()), (1, "call-cycle"));
    assert!(problems[0].to_string().contains("one > leaf > one"), "{}", problems[0]);
    assert_eq!(host.engine.flow(&test(), &id("one")).expect("a flow").version, 2, "nothing has changed");
    host.engine.rollback_flow(&test(), &id("leaf"), Some(1)).await.expect("no way back any more");
    host.engine.rollback_flow(&test(), &id("one"), Some(1)).await.expect("rolled back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_flow_takes_nothing_and_ends_what_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.connect().await;
    host.publish(HOOK).await;
    let open = run_of(&host.send("hook", r#"{"id":"a","n":1}"#).await.expect("accepted"));
    host.engine.pause_flow(&test(), &id("hook"), "ana").await.expect("paused");
    host.engine.retire_flow(&test(), &id("hook"), "ana").await.expect("retired");
    assert!(matches!(host.send("hook", r#"{"id":"b","n":1}"#).await, Err(EngineError::NotFound(_))));
    assert!(matches!(host.engine.pause_flow(&test(), &id("hook"), "ana").await, Err(EngineError::Conflict(_))));
    let again = host.engine.retire_flow(&test(), &id("hook"), "ana").await;
    let Err(EngineError::Conflict(problem)) = again else { panic!("{again:?}") };
    assert!(problem.fix.is_some_and(|fix| fix.contains("sluice flow apply FILE")));
    host.engine.run().expect("running");
    assert_eq!(host.ended(&open).await, RunStatus::Succeeded);
    host.publish(HOOK).await;
    let view = host.engine.flow(&test(), &id("hook")).expect("a flow");
    assert_eq!((view.state, view.version), (FlowState::Published, 1), "the same document is no new version");
    assert!(host.send("hook", r#"{"id":"c","n":1}"#).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_flow_takes_no_calls_and_what_calls_had_begun_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.publish(CALLED).await;
    host.publish(CALLER).await;
    host.engine.run().expect("running");
    let start = async || host.engine.start(&test(), &id("caller"), json!({}), "ana").await.expect("started");
    let begun = start().await;
    // The queue rests for a moment between a caller and what it calls.
    while host.engine.show_run(&begun).expect("a run").children.is_empty() {
        tokio::task::yield_now().await;
    }
    host.engine.retire_flow(&test(), &id("called"), "ana").await.expect("retired");

    let late = start().await;
    assert_eq!(host.ended(&late).await, RunStatus::Failed);
    let view = host.engine.show_run(&late).expect("a run");
    assert!(view.children.is_empty(), "nothing was begun: {view:?}");
    let letter = view.dead_letter.expect("a dead letter");
    assert!(letter.problem.what.contains("flow called is retired in test"), "{}", letter.problem.what);
    assert_eq!(letter.step.expect("a step").as_str(), "go");
    let refused = host.engine.apply_flow(CALLER, Format::Yaml, "caller.yaml", &test(), "ana").await;
    let Err(EngineError::Invalid(problems)) = refused else { panic!("{refused:?}") };
    assert_eq!((problems.len(), problems[0].code.as_str()), (1, "flow-retired"));
    assert_eq!(problems[0].field.as_deref(), Some("steps.go.call"));

    // Until it waits for it.
    let paid = async || {
        loop {
            let reached = host.engine.signal(&test(), "invoice.paid", "1", json!({})).await.expect("sent");
            if !reached.is_empty() {
                return reached;
            }
        }
    };
    let children = host.engine.show_run(&begun).expect("a run").children;
    assert_eq!(paid().await, [children[0].run.clone()]);
    assert_eq!(host.ended(&begun).await, RunStatus::Succeeded);
    host.publish(CALLED).await;
    host.publish(CALLER).await;
    let again = start().await;
    assert_eq!(paid().await.len(), 1);
    assert_eq!(host.ended(&again).await, RunStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_whose_connection_is_taken_back_pauses_itself_and_resumes_when_it_is_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.connect().await;
    host.publish(HOOK).await;
    let run = run_of(&host.send("hook", r#"{"id":"a","n":1}"#).await.expect("accepted"));
    host.engine.revoke_connection(&test(), &"hook".parse().expect("a name"), "ana").await.expect("revoked");
    let paused = host.engine.flow(&test(), &id("hook")).expect("a flow").paused.expect("paused by the host");
    let cause = paused.cause.expect("with a cause");
    assert_eq!((paused.by.as_str(), cause.code.as_str()), ("sluice", "connection-revoked"));
    assert!(cause.fix.is_some_and(|fix| fix.contains("sluice connection add")));
    let too_early = host.engine.resume_flow(&test(), &id("hook")).await;
    assert!(matches!(too_early, Err(EngineError::Refused(_))), "{too_early:?}");
    host.engine.run().expect("running");
    host.settled().await;
    assert_eq!(host.engine.run_record(&run).expect("a run").status, RunStatus::Running);
    host.connect().await;
    assert_eq!(state(&host, "hook").await, FlowState::Published);
    assert_eq!(host.ended(&run).await, RunStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_says_who_depends_on_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.connect().await;
    host.publish(HOOK).await;
    let view = host.engine.show_connection(&test(), &"hook".parse().expect("a name")).expect("a connection");
    assert_eq!((view.flows, view.rate_limited_until_ms), (vec![id("hook")], None));
    let unknown = host.engine.show_connection(&test(), &"hok".parse().expect("a name"));
    assert!(
        matches!(unknown, Err(EngineError::NotFound(problem)) if problem.fix.as_deref() == Some("did you mean hook?"))
    );
}
