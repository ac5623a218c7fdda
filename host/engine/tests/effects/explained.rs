//! What people are told of a run and of a flow: repeated, retried, waited for, and by whom.

use engine::{RunStatus, RunView};
use model::{Failure, RunId};
use serde_json::json;

use crate::service::{Service, send, set_up};
use crate::world::{Host, ManualClock, id, in_time, test, until};

const FLOW: &str = "version: 1
id: told
name: Told
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: header, name: x-id }
  connection: hook
steps:
  - { id: note, uses: service/note, connection: account, input: { mark: 'a/{{ trigger.n }}' } }
  - { id: paid, wait: { event: invoice.paid, key: '{{ trigger.n }}', timeout: 3d } }
  - { id: ask, approve: { role: finance, title: 'Send {{ trigger.n }}?', timeout: 2d } }
";

fn show(host: &Host, run: &RunId) -> RunView {
    host.engine.show_run(run).expect("a run")
}

async fn waits(host: &Host, clock: &ManualClock, run: &RunId, wanted: &str) -> RunView {
    in_time(clock, wanted, || {
        let view = show(host, run);
        view.waits.iter().any(|wait| wait.what.contains(wanted)).then_some(view)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_run_says_what_it_waits_for_and_who_must_act() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let begun = clock.now();
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(FLOW).await;
    host.engine.run().expect("running");
    service.lock().failures.extend([
        Failure::Transient { message: "once".to_owned() },
        Failure::RateLimited { retry_after_ms: Some(20_000) },
    ]);
    let run = send(&host.engine, "told", "d1", &json!({ "n": "7" })).await.expect("accepted");
    waits(&host, &clock, &run, "the rate limit of connection account").await;
    // A view may be taken between two rows of one change; and the clock, which went on
    // while the wait was looked for, may already be past its end.
    let until_ms = until("it says until when", || show(&host, &run).waits.first()?.until_ms).await;
    assert!(until_ms >= begun + 20_000, "{until_ms}");
    let standing = host.engine.flow_standing(&test(), &id("told")).expect("a standing");
    assert!(standing.waits.iter().any(|wait| wait.what.contains("rate limit")), "{standing:?}");

    let view = waits(&host, &clock, &run, "the event invoice.paid").await;
    let retries = view.retries.expect("it was retried");
    assert!(retries.failed >= 2 && retries.rate_limited >= 1 && retries.refused == 0, "{retries:?}");
    assert_eq!(view.waits[0].how.as_deref(), Some("sluice flow signal invoice.paid --key \"7\" --environment test"));
    host.engine.signal(&test(), "invoice.paid", "7", json!({})).await.expect("signalled");
    let view = waits(&host, &clock, &run, "a decision: Send 7?").await;
    let wait = &view.waits[0];
    assert_eq!(wait.who.as_deref(), Some("somebody with the role finance"));
    assert_eq!(wait.how, Some(format!("sluice approval decide {run}:ask approve|reject")));
    let standing = host.engine.flow_standing(&test(), &id("told")).expect("a standing");
    assert_eq!(standing.waits[0].who.as_deref(), Some("somebody with the role finance"));

    host.engine.pause_flow(&test(), &id("told"), "ana").await.expect("paused");
    let view = waits(&host, &clock, &run, "flow told, which ana paused").await;
    assert_eq!(view.waits[0].how.as_deref(), Some("sluice flow resume told --environment test"));
    host.engine.resume_flow(&test(), &id("told")).await.expect("resumed");
    clock.pass(3 * 86_400_000);
    let view = waits(&host, &clock, &run, "a person to settle its dead letter").await;
    assert_eq!(view.record.status, RunStatus::Failed);
    host.engine.discard(&run, None, "ana").await.expect("discarded");
    assert_eq!(show(&host, &run).waits, []);
}

#[tokio::test(start_paused = true)]
async fn duplicates_are_counted_for_the_run_and_for_the_flow() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(FLOW.split("  - { id: paid").next().expect("a head")).await;
    host.engine.run().expect("running");
    let sent = async |key: &str| send(&host.engine, "told", key, &json!({ "n": "7" })).await.expect("accepted");
    let (first, other) = (sent("d1").await, sent("d2").await);
    for _ in 0..5 {
        assert_eq!(sent("d1").await, first, "the same run");
    }
    let counted = |count: u64| move |found: &engine::Duplicates| found.count == count;
    until("they are counted", || show(&host, &first).duplicates.filter(counted(5))).await;
    assert_eq!(show(&host, &other).duplicates, None);
    host.crash().await;
    let host = service.open(folder.path(), &clock);
    host.engine.run().expect("running");
    send(&host.engine, "told", "d2", &json!({ "n": "7" })).await.expect("a duplicate");
    let of_flow = || host.engine.flow_standing(&test(), &id("told")).expect("a standing").duplicates;
    until("that too", || of_flow().filter(counted(6))).await;
    assert_eq!(show(&host, &first).duplicates.map(|found| found.count), Some(5), "kept");
    assert_eq!(show(&host, &other).duplicates.map(|found| found.count), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_flow_counts_its_runs_and_names_its_last_failures() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(FLOW).await;
    host.engine.run().expect("running");
    service.lock().failures.push_back(Failure::Permanent { message: "not this one".to_owned() });
    let failed = send(&host.engine, "told", "d0", &json!({ "n": "0" })).await.expect("accepted");
    in_time(&clock, "it failed", || (show(&host, &failed).record.status == RunStatus::Failed).then_some(())).await;
    for n in 1..4 {
        let run = send(&host.engine, "told", &format!("d{n}"), &json!({ "n": n.to_string() })).await.expect("accepted");
        waits(&host, &clock, &run, "the event invoice.paid").await;
    }
    let standing = host.engine.flow_standing(&test(), &id("told")).expect("a standing");
    let counts: Vec<_> = standing.runs.iter().map(|run| (run.status, run.count, run.more)).collect();
    assert_eq!(counts, [(RunStatus::Waiting, 3, false), (RunStatus::Failed, 1, false)]);
    let [last] = &standing.failed[..] else { panic!("{standing:?}") };
    assert_eq!((&last.run, last.settled, last.step.as_ref().map(|step| step.as_str())), (&failed, false, Some("note")));
    assert!(last.problem.as_ref().is_some_and(|problem| problem.what.contains("not this one")), "{last:?}");
}
