//! Flows that a step calls, and calls again: each time as a run of its own, and only
//! what may be done twice.

use engine::{EngineError, RunStatus, RunView};
use flow::Format;
use model::{Failure, RunId};
use serde_json::json;

use crate::service::{Service, set_up};
use crate::world::{Host, ManualClock, id, in_time, test};

const CALLED: &str = "version: 1
id: called
name: Called
trigger: { call: {} }
steps:
  - { id: put, uses: service/OPERATION, connection: account, retry: { attempts: 1 }, input: { mark: 'put/{{ trigger.n }}' } }
";
const BETWEEN: &str = "version: 1
id: between
name: Between
trigger: { call: {} }
steps:
  - { id: rest, wait: { for: 1h } }
  - { id: below, call: called, input: { n: '{{ trigger.n }}' } }
";
const CALLER: &str = "version: 1
id: caller
name: Caller
trigger: { manual: {} }
steps:
  - { id: call, call: CALLS, input: { n: '{{ trigger.n }}' }, retry: { attempts: 3, first: 10s, most: 1m } }
";

fn called(operation: &str) -> String {
    CALLED.replace("OPERATION", operation)
}

fn transient() -> Failure {
    Failure::Transient { message: "not yet".to_owned() }
}

fn show(host: &Host, run: &RunId) -> RunView {
    host.engine.show_run(run).expect("a run")
}

async fn start(host: &Host) -> RunId {
    host.engine.start(&test(), &id("caller"), json!({ "n": "7" }), "ana").await.expect("started")
}

async fn ended(host: &Host, clock: &ManualClock, run: &RunId) -> RunView {
    in_time(clock, "it ends", || Some(show(host, run)).filter(|view| view.record.status.is_final())).await
}

#[tokio::test(start_paused = true)]
async fn each_try_is_a_run_of_its_own_and_nobody_has_to_settle_those_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(&called("note")).await;
    host.publish(&CALLER.replace("CALLS", "called")).await;
    host.engine.run().expect("running");
    service.lock().failures.extend([transient(), transient()]);
    let run = start(&host).await;
    let begun = clock.now();
    let view = ended(&host, &clock, &run).await;
    assert_eq!(view.record.status, RunStatus::Succeeded, "{view:?}");
    assert!(clock.now() > begun + 1_000, "it waited in between");
    assert_eq!((view.steps[0].attempts, view.children.len()), (3, 3));
    let of_tries: Vec<(u32, RunStatus)> =
        view.children.iter().map(|child| (child.attempt, show(&host, &child.run).record.status)).collect();
    assert_eq!(of_tries, [(1, RunStatus::Failed), (2, RunStatus::Failed), (3, RunStatus::Succeeded)]);
    let last = &view.children[2].run;
    let known = service.lock();
    let [note] = &known.notes[..] else { panic!("{:?}", known.notes) };
    assert_eq!((&*note.run, note.key.clone()), (last.as_str(), format!("{last}-put")), "a key of its own");
    let filter = engine::DeadFilter { settled: false, ..engine::DeadFilter::default() };
    assert!(host.engine.list_dead(&filter, None, 10).expect("listed").letters.is_empty(), "nothing is left to do");
    let letter = host.engine.dead_letter(&view.children[0].run).expect("it is told all the same");
    assert_eq!(letter.settled.expect("settled").by, format!("run {run}"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_pass_or_has_failed_too_often_is_not_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(&called("note")).await;
    host.publish(&CALLER.replace("CALLS", "called")).await;
    host.engine.run().expect("running");
    for (failures, tries) in
        [(vec![Failure::NotFound { message: "gone".to_owned() }], 1), (vec![transient(), transient(), transient()], 3)]
    {
        service.lock().failures.extend(failures);
        let run = start(&host).await;
        let view = ended(&host, &clock, &run).await;
        assert_eq!((view.record.status, view.children.len()), (RunStatus::Failed, tries));
        let last = &view.children[tries - 1].run;
        assert!(host.engine.dead_letter(last).expect("a letter").settled.is_none(), "the last one needs a person");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_commit_neither_loses_a_try_nor_adds_one() {
    let mut crashed = 0;
    for commits in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
        let before = service.open(folder.path(), &clock);
        set_up(&before.engine).await;
        before.publish(&called("note")).await;
        before.publish(&CALLER.replace("CALLS", "called")).await;
        service.lock().failures.extend([transient(), transient()]);
        let run = start(&before).await;
        before.stop_after(commits);
        before.engine.run().expect("running");
        let stopped = || before.has_stopped() || show(&before, &run).record.status.is_final();
        in_time(&clock, "it stops", || stopped().then_some(())).await;
        crashed += u32::from(before.has_stopped());
        before.crash().await;
        let host = service.open(folder.path(), &clock);
        host.engine.run().expect("running");
        let view = ended(&host, &clock, &run).await;
        assert_eq!(view.record.status, RunStatus::Succeeded, "after {commits} commits: {view:?}");
        let attempts: Vec<u32> = view.children.iter().map(|child| child.attempt).collect();
        assert!(attempts == [1, 2, 3] || attempts == [1, 2] || attempts == [1], "{attempts:?}");
        let ends: Vec<RunStatus> = view.children.iter().map(|child| show(&host, &child.run).record.status).collect();
        assert!(ends.ends_with(&[RunStatus::Succeeded]), "{ends:?}");
        assert!(ends[..ends.len() - 1].iter().all(|end| *end == RunStatus::Failed), "{ends:?}");
    }
    assert!(crashed >= 10, "{crashed} of the hosts crashed");
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_done_twice_is_refused_at_save_and_when_a_newer_version_does_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(&called("fire")).await;
    host.publish(BETWEEN).await;
    for calls in ["called", "between"] {
        let caller = CALLER.replace("CALLS", calls);
        let refused = host.engine.apply_flow(&caller, Format::Yaml, "caller.yaml", &test(), "ana").await;
        let Err(EngineError::Invalid(problems)) = refused else { panic!("{calls}: {refused:?}") };
        assert_eq!(problems[0].code, "not-repeatable", "{problems:?}");
        assert!(problems[0].to_string().contains("its step put could do service/fire twice"), "{}", problems[0]);
    }
    host.publish(&called("note")).await;
    host.publish(&CALLER.replace("CALLS", "between")).await;
    host.publish(&called("fire")).await;
    host.engine.run().expect("running");
    let run = start(&host).await;
    let view = ended(&host, &clock, &run).await;
    assert_eq!(view.record.status, RunStatus::Failed);
    let problem = view.dead_letter.expect("a letter").problem;
    assert_eq!(problem.code, "not-repeatable", "{problem}");
    assert_eq!((view.children.len(), service.lock().calls), (0, 0), "nothing was begun");

    // The version changes while the flow in between is under way.
    host.publish(&called("note")).await;
    let run = start(&host).await;
    in_time(&clock, "the flow in between waits", || {
        let view = show(&host, &run);
        let [child] = &view.children[..] else { return None };
        (show(&host, &child.run).record.status == RunStatus::Waiting).then_some(())
    })
    .await;
    host.publish(&called("fire")).await;
    clock.pass(3_600_000);
    let view = ended(&host, &clock, &run).await;
    let problem = view.dead_letter.expect("a letter").problem;
    assert!(problem.what.contains("must not be run twice"), "{problem}");
    assert_eq!(service.lock().calls, 0, "it was not fired");

    // And between two tries.
    host.publish(&called("note")).await;
    let patient = CALLER.replace("CALLS", "called").replace("first: 10s, most: 1m", "first: 1d, most: 1d");
    host.publish(&patient).await;
    service.lock().failures.push_back(transient());
    let run = start(&host).await;
    let once = |view: &RunView| view.retries.is_some_and(|retries| retries.failed == 1);
    in_time(&clock, "the first try failed", || Some(show(&host, &run)).filter(once)).await;
    host.publish(&called("fire")).await;
    clock.pass(86_400_000);
    let view = ended(&host, &clock, &run).await;
    assert_eq!(view.dead_letter.expect("a letter").problem.code, "not-repeatable");
    assert_eq!((view.children.len(), service.lock().calls), (1, 1), "it was not fired");
}
