//! Runs that wait for times, events, people and other runs, across crashes.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{EngineError, RunFilter, RunStatus};
use flow::StepOutcome;
use model::RunId;
use serde_json::{Value, json};

use crate::support::{DAY_MS, Host, clock, id, test};

const GREET: &str = "
version: 1
id: greet
name: Greet
trigger:
  call:
    function: true
    input: { type: object, required: [name], properties: { name: { type: string } } }
    output: { type: object, required: [greeting], properties: { greeting: { type: string } } }
steps: []
output: { greeting: 'Hello {{ trigger.name }}', secret: 1 }
";
const ORDER: &str = "
version: 1
id: order
name: Order
trigger: { manual: {} }
steps:
  - id: greetings
    foreach: '{{ trigger.names }}'
    concurrency: 3
    steps: [{ id: greet, call: greet, input: { name: '{{ item }}' } }]
    output: '{{ steps.greet }}'
  - id: paid
    wait: { event: invoice.paid, key: '{{ trigger.order }}', timeout: 3d }
  - id: ask
    approve: { role: finance, title: 'Send {{ trigger.order }}?', timeout: 2d, on_timeout: reject }
  - id: rest
    wait: { for: 1h }
output: { greetings: '{{ steps.greetings.outputs }}', paid: '{{ steps.paid }}', ask: '{{ steps.ask.outcome }}' }
";

async fn started(host: &Host, input: Value) -> RunId {
    let run = host.engine.start(&test(), &id("order"), input, "ana").await.expect("started");
    host.settled().await;
    run
}

/// The host stops at rest and is opened again; nobody works yet.
async fn stopped(host: Host, folder: &Path) -> Host {
    assert!(host.engine.drain(Duration::from_secs(60)).await, "it comes to rest");
    host.crash(folder)
}

/// The host works until everything rests, then stops as above.
async fn worked(host: Host, folder: &Path) -> Host {
    host.engine.run().expect("running");
    host.settled().await;
    stopped(host, folder).await
}

fn waits(host: &Host, run: &RunId, step: &str) {
    let view = host.engine.show_run(run).expect("a run");
    assert_eq!(view.record.status, RunStatus::Waiting, "{view:?}");
    let found = view.steps.iter().find(|view| view.step.as_str() == step).expect("the step");
    assert_eq!(found.outcome, StepOutcome::Waiting, "{found:?}");
}

/// What the list says that a run waits for.
fn listed(host: &Host, run: &RunId) -> Option<String> {
    let filter = RunFilter { status: Some(RunStatus::Waiting), ..RunFilter::default() };
    let page = host.engine.list_runs(&filter, None, 100).expect("listed");
    page.runs.into_iter().find(|listed| listed.record.id == *run)?.waits_for
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_waits_for_everything_and_survives_a_crash_at_each_point() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let mut host = Host::open(folder.path(), &clock, 100);
    host.publish(GREET).await;
    host.publish(ORDER).await;
    host.engine.run().expect("running");
    let run = started(&host, json!({ "order": "4711", "names": ["Ana", "Bo", "Cy", "Di"] })).await;
    waits(&host, &run, "paid");
    assert_eq!(host.engine.show_run(&run).expect("a run").children.len(), 4);
    assert_eq!(listed(&host, &run).as_deref(), Some("the event invoice.paid"));
    host = stopped(host, folder.path()).await;
    host = worked(host, folder.path()).await;
    waits(&host, &run, "paid");

    let signal = async |host: &Host, key: &str| {
        host.engine.signal(&test(), "invoice.paid", key, json!({ "amount": 12 })).await.expect("sent")
    };
    assert_eq!(signal(&host, "other").await, []);
    assert_eq!(signal(&host, "4711").await, std::slice::from_ref(&run));
    host = host.crash(folder.path());
    host = worked(host, folder.path()).await;
    waits(&host, &run, "ask");
    assert_eq!(listed(&host, &run).as_deref(), Some("a decision: Send 4711?"));
    assert_eq!(signal(&host, "4711").await, [], "it is not waited for twice");

    let open = host.engine.approvals(false, None, 10).expect("listed");
    let [approval] = open.as_slice() else { panic!("{open:?}") };
    assert_eq!((approval.role.as_str(), approval.title.as_str()), ("finance", "Send 4711?"));
    let wrong = host.engine.decide(&approval.id, "perhaps", "bo", None).await;
    assert!(matches!(wrong, Err(EngineError::Invalid(_))), "{wrong:?}");
    host.engine.decide(&approval.id, "approve", "ana", Some("fine".to_owned())).await.expect("decided");
    let Err(EngineError::Conflict(second)) = host.engine.decide(&approval.id, "reject", "bo", None).await else {
        panic!("a decision is made once");
    };
    assert!(second.what.starts_with("ana was first: approve"), "{}", second.what);
    host = host.crash(folder.path());
    host = worked(host, folder.path()).await;
    waits(&host, &run, "rest");
    assert_eq!(listed(&host, &run).as_deref(), Some("a time"));

    clock.now_ms.fetch_add(3_700_000, Ordering::SeqCst);
    host.engine.run().expect("running");
    assert_eq!(host.ended(&run).await, RunStatus::Succeeded);
    let output = host.engine.show_run(&run).expect("a run").output.expect("an output");
    let greetings: Vec<Value> =
        ["Ana", "Bo", "Cy", "Di"].iter().map(|name| json!({ "greeting": format!("Hello {name}") })).collect();
    assert_eq!(output, json!({ "greetings": greetings, "paid": { "amount": 12 }, "ask": "approve" }));
    let decided = host.engine.approval(&approval.id).expect("still known").decided.expect("decided");
    assert_eq!((decided.by.as_str(), decided.comment.as_deref()), ("ana", Some("fine")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_that_is_up_answers_and_a_cancelled_run_takes_its_children_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let host = Host::open(folder.path(), &clock, 100);
    host.publish(
        &GREET.replace("steps: []", "steps: [{ id: long, wait: { for: 300d } }]").replace("function: true", ""),
    )
    .await;
    host.publish(ORDER).await;
    host.engine.run().expect("running");
    let parent = started(&host, json!({ "order": "1", "names": ["Ana", "Bo"] })).await;
    let children = host.engine.show_run(&parent).expect("a run").children;
    assert_eq!(children.len(), 2);
    host.engine.cancel(&parent, "ana", "a mistake").await.expect("asked");
    assert_eq!(host.ended(&parent).await, RunStatus::Cancelled);
    for child in children {
        assert_eq!(host.ended(&child.run).await, RunStatus::Cancelled);
    }
    assert!(matches!(host.engine.cancel(&parent, "bo", "again").await, Err(EngineError::Conflict(_))));

    let run = started(&host, json!({ "order": "2", "names": [] })).await;
    waits(&host, &run, "paid");
    for (days, step) in [(3, "ask"), (2, "rest")] {
        clock.now_ms.fetch_add(days * DAY_MS + 1, Ordering::SeqCst);
        woken(&host, &run, step).await;
    }
    let closed = host.engine.approvals(true, None, 10).expect("listed");
    assert!(closed.iter().all(|approval| approval.closed_at_ms.is_some()), "{closed:?}");
}

/// Waits until the queue has seen the new time and the run waits at this step.
async fn woken(host: &Host, run: &RunId, step: &str) {
    let waiting = async {
        loop {
            let view = host.engine.show_run(run).expect("a run");
            let found = view.steps.iter().find(|view| view.step.as_str() == step);
            if found.is_some_and(|view| view.outcome == StepOutcome::Waiting) {
                return;
            }
            // Any new run makes the queue look at the clock.
            let other = host.engine.start(&test(), &id("order"), json!({ "order": "x", "names": [] }), "ana").await;
            host.settled().await;
            host.engine.cancel(&other.expect("started"), "ana", "done").await.expect("asked");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the run goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_cannot_begin_fails_its_step_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.publish(GREET).await;
    host.publish(ORDER).await;
    host.engine.run().expect("running");
    let run = started(&host, json!({ "order": "1", "names": [7] })).await;
    assert_eq!(host.ended(&run).await, RunStatus::Failed);
    let letter = host.engine.show_run(&run).expect("a run").dead_letter.expect("a dead letter");
    assert!(letter.problem.what.contains("name expects text, got 7"), "{}", letter.problem.what);
    assert_eq!(letter.step.expect("a step").as_str(), "greet");

    let cycle = ORDER.replace("trigger: { manual: {} }", "trigger: { call: {} }").replace("call: greet", "call: order");
    let refused = host.engine.apply_flow(&cycle, flow::Format::Yaml, "flow.yaml", &test(), "ana").await;
    let Err(EngineError::Invalid(problems)) = refused else { panic!("{refused:?}") };
    assert!(problems.iter().any(|problem| problem.code == "call-cycle"), "{problems:?}");
}

#[tokio::test]
async fn of_two_events_at_once_a_wait_takes_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path(), &clock(), 100);
    host.publish(
        "
version: 1
id: paid
name: Paid
trigger: { manual: {} }
steps: [{ id: paid, wait: { event: invoice.paid, key: '1', timeout: 1d } }]
output: '{{ steps.paid }}'
",
    )
    .await;
    host.engine.run().expect("running");
    let run = host.engine.start(&test(), &id("paid"), json!({}), "ana").await.expect("started");
    host.settled().await;
    let environment = test();
    let signal = |by: &'static str| host.engine.signal(&environment, "invoice.paid", "1", json!({ "by": by }));
    let (one, other) = tokio::join!(signal("one"), signal("other"));
    let (one, other) = (one.expect("signalled"), other.expect("signalled"));
    assert_eq!(
        [one.len() + other.len(), usize::from(one == [run.clone()])],
        [1, 1],
        "the first one is told, and only it"
    );
    assert_eq!(host.ended(&run).await, RunStatus::Succeeded);
    let output = host.engine.show_run(&run).expect("a run").output;
    assert_eq!(output, Some(json!({ "by": "one" })));
}
