//! Runs of one key go one after the other, in the order of their acceptance, whatever
//! happens in between; others go past.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::{Replay, RunFilter, RunStatus};
use model::{Failure, RunId};
use serde_json::{Value, json};

use crate::service::{Service, send, set_up};
use crate::world::{Host, ManualClock, id, in_time, test, until};

const HOOK: &str = "  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: header, name: x-id }
  connection: hook";

/// A sequential flow with these steps, started by deliveries.
fn flow(concurrency: &str, steps: &str) -> String {
    format!("version: 1\nid: line\nname: Line\nconcurrency: {concurrency}\ntrigger:\n{HOOK}\nsteps:\n{steps}\n")
}

const KEYED: &str = "{ mode: sequential, key: '{{ trigger.key }}' }";
const NOTE: &str =
    "  - { id: note, uses: service/note, connection: account, input: { mark: '{{ trigger.key }}/{{ trigger.n }}' } }";

fn event(key: &str, n: usize) -> Value {
    json!({ "key": key, "n": format!("{n:03}") })
}

async fn deliver(host: &Host, key: &str, n: usize) -> RunId {
    send(&host.engine, "line", &format!("{key}-{n}"), &event(key, n)).await.expect("accepted")
}

fn status(host: &Host, run: &RunId) -> RunStatus {
    host.engine.show_run(run).expect("a run").record.status
}

async fn ended(host: &Host, clock: &ManualClock, runs: &[RunId]) {
    let over = |run| host.engine.run_record(run).expect("a run").status.is_final();
    in_time(clock, "all runs end", || runs.iter().all(over).then_some(())).await;
}

fn numbered(key: &str, numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("{key}/{n:03}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_senders_at_once_keep_the_order_of_each_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = Arc::new(service.open(folder.path(), &clock));
    set_up(&host.engine).await;
    host.publish(&flow(KEYED, NOTE)).await;
    host.engine.run().expect("running");
    let moments = Arc::new(AtomicU64::new(0));
    let senders = (0..64).map(|sender| {
        let (host, moments) = (host.clone(), moments.clone());
        tokio::spawn(async move {
            let mut sent = Vec::new();
            for round in 0..6 {
                let (key, n) = (format!("k{}", (sender + round) % 8), sender * 10 + round);
                let asked = moments.fetch_add(1, Ordering::SeqCst);
                let run = deliver(&host, &key, n).await;
                sent.push((key, asked, moments.fetch_add(1, Ordering::SeqCst), run));
            }
            sent
        })
    });
    let mut sent = Vec::new();
    for sender in senders.collect::<Vec<_>>() {
        sent.extend(sender.await.expect("sent"));
    }
    let runs: Vec<RunId> = sent.iter().map(|(.., run)| run.clone()).collect();
    ended(&host, &clock, &runs).await;
    let known = service.lock();
    assert_eq!((known.notes.len(), known.overlaps.len()), (64 * 6, 0), "{:?}", known.overlaps);
    assert!(known.most_at_once > 1, "different keys go beside one another");
    let places: BTreeMap<&str, usize> = known.notes.iter().enumerate().map(|(at, note)| (&*note.run, at)).collect();
    for (key, _, answered, run) in &sent {
        for (other, asked, _, later) in &sent {
            let in_order = places[run.as_str()] < places[later.as_str()];
            assert!(key != other || answered > asked || in_order, "{run} was accepted before {later} was sent");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_commit_keeps_the_order() {
    let steps = format!("{NOTE}\n  - {{ id: rest, wait: {{ for: 1m }} }}\n{}", NOTE.replace("id: note", "id: again"));
    let mut crashed = 0;
    for commits in 0..60 {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
        let before = service.open(folder.path(), &clock);
        set_up(&before.engine).await;
        before.publish(&flow(KEYED, &steps)).await;
        let mut runs = Vec::new();
        for n in 0..3 {
            for key in ["a", "b"] {
                runs.push(deliver(&before, key, n).await);
            }
        }
        before.crash().await;
        // One call has to be repeated.
        service.lock().failures.push_back(Failure::Transient { message: "once".to_owned() });

        let frail = service.open(folder.path(), &clock);
        frail.stop_after(commits);
        frail.engine.run().expect("running");
        let done = |host: &Host| runs.iter().all(|run| host.engine.run_record(run).expect("kept").status.is_final());
        in_time(&clock, "it has stopped or is done", || (frail.has_stopped() || done(&frail)).then_some(())).await;
        crashed += usize::from(frail.has_stopped());
        frail.crash().await;

        let after = service.open(folder.path(), &clock);
        after.engine.run().expect("running");
        ended(&after, &clock, &runs).await;
        for key in ["a", "b"] {
            assert_eq!(service.marks(key), numbered(key, 0..3), "after {commits} commits");
        }
        assert_eq!(service.lock().overlaps, Vec::<String>::new());
        assert!(runs.iter().all(|run| status(&after, run) == RunStatus::Succeeded));
        after.crash().await;
    }
    assert!(crashed >= 20, "it crashed {crashed} times only");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_holds_its_line_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    let ask = "  - { id: ask, when: \"{{ trigger.n == '000' }}\", approve: { role: finance, title: 'Go on?' } }\n";
    host.publish(&flow(KEYED, &format!("{ask}{NOTE}"))).await;
    host.engine.run().expect("running");
    let first = deliver(&host, "a", 0).await;
    let approval = until("it asks", || host.engine.approvals(false, None, 1).expect("listed").pop()).await;
    let (second, third) = (deliver(&host, "a", 1).await, deliver(&host, "a", 2).await);
    let other = deliver(&host, "b", 1).await;
    ended(&host, &clock, std::slice::from_ref(&other)).await;

    let view = host.engine.show_run(&second).expect("a run");
    assert_eq!(view.record.status, RunStatus::Waiting);
    assert!(view.waits[0].what.contains(first.as_str()), "{:?}", view.waits);
    let filter = RunFilter { status: Some(RunStatus::Waiting), ..RunFilter::default() };
    let listed = host.engine.list_runs(&filter, None, 10).expect("listed").runs;
    let waits: Vec<&str> = listed.iter().filter_map(|run| run.waits_for.as_deref()).collect();
    let turn = format!("run {first} of the same key, which came first");
    assert_eq!(waits, [turn.as_str(), turn.as_str(), "a decision: Go on?"], "the first of the line waits for a person");

    host.engine.cancel(&second, "ana", "not needed").await.expect("asked");
    ended(&host, &clock, std::slice::from_ref(&second)).await;
    assert_eq!((status(&host, &second), status(&host, &third)), (RunStatus::Cancelled, RunStatus::Waiting));

    host.crash().await;
    let host = service.open(folder.path(), &clock);
    host.engine.run().expect("running");
    assert_eq!(status(&host, &third), RunStatus::Waiting);
    host.engine.decide(&approval.id, "approve", "bo", None).await.expect("decided");
    ended(&host, &clock, &[first, third]).await;
    assert_eq!(service.marks("a"), numbered("a", [0, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_lets_the_next_go_on_and_its_replay_comes_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(&flow("{ mode: sequential }", NOTE)).await;
    service.lock().failures.push_back(Failure::Permanent { message: "no".to_owned() });
    let mut runs = vec![deliver(&host, "a", 0).await, deliver(&host, "b", 1).await];
    host.engine.run().expect("running");
    ended(&host, &clock, &runs).await;
    assert_eq!((status(&host, &runs[0]), status(&host, &runs[1])), (RunStatus::Failed, RunStatus::Succeeded));
    assert!(host.engine.drain(std::time::Duration::from_secs(60)).await);
    host.crash().await;

    let host = service.open(folder.path(), &clock);
    runs.push(deliver(&host, "c", 2).await);
    runs.push(host.engine.replay_as(&runs[0], &Replay::default(), "ana").await.expect("replayed"));
    runs.push(deliver(&host, "d", 3).await);
    host.engine.run().expect("running");
    ended(&host, &clock, &runs).await;
    let marks: Vec<String> = service.lock().notes.iter().map(|note| note.mark.clone()).collect();
    assert_eq!(marks, ["b/001", "c/002", "a/000", "d/003"], "one line without a key, the replay at its end");
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_key_is_a_dead_letter_that_holds_nobody_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(&flow(KEYED, NOTE)).await;
    host.engine.run().expect("running");
    let lost = send(&host.engine, "line", "x", &json!({ "n": "000" })).await.expect("accepted");
    let kept = deliver(&host, "a", 1).await;
    ended(&host, &clock, &[lost.clone(), kept]).await;
    let view = host.engine.show_run(&lost).expect("a run");
    let letter = view.dead_letter.expect("a dead letter");
    assert_eq!((view.record.status, letter.problem.field.as_deref()), (RunStatus::Failed, Some("concurrency.key")));
    assert_eq!(view.trigger, Some(json!({ "n": "000" })), "the event is kept");
    host.publish(&flow(
        "{ mode: sequential, key: \"{{ trigger.key | default('none') }}\" }",
        "  - { id: a, transform: 1 }",
    ))
    .await;
    let replay = Replay { version: engine::ReplayVersion::Newest, ..Replay::default() };
    let again = host.engine.replay_as(&lost, &replay, "ana").await.expect("replayed");
    ended(&host, &clock, std::slice::from_ref(&again)).await;
    assert_eq!(status(&host, &again), RunStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_a_connector_reads_keep_their_order_across_its_failures() {
    for commits in [u64::MAX, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14] {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
        let host = service.open(folder.path(), &clock);
        set_up(&host.engine).await;
        let document = flow(KEYED, NOTE).replace(HOOK, "  uses: service/events\n  connection: account");
        host.publish(&document).await;
        for delivery in 0..4 {
            let events = [event("a", delivery * 2), event("b", delivery), event("a", delivery * 2 + 1)];
            send(&host.engine, "line", &format!("d{delivery}"), &json!(events)).await.expect("accepted");
        }
        // The first delivery cannot be read at once: the others wait for it.
        service.lock().failures.extend((0..2).map(|_| Failure::Transient { message: "not yet".to_owned() }));
        host.stop_after(commits);
        host.engine.run().expect("running");
        let all_ended = |host: &Host| {
            let runs = host.runs("line");
            runs.len() == 12 && runs.iter().all(|run| run.status.is_final())
        };
        in_time(&clock, "it is done or has stopped", || (all_ended(&host) || host.has_stopped()).then_some(())).await;
        host.crash().await;
        let host = service.open(folder.path(), &clock);
        host.engine.run().expect("running");
        in_time(&clock, "all is done", || all_ended(&host).then_some(())).await;
        assert_eq!(service.marks("a"), numbered("a", 0..8), "after {commits} commits");
        assert_eq!(service.marks("b"), numbered("b", 0..4), "after {commits} commits");
        host.crash().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_key_leaves_turns_to_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(&flow(KEYED, NOTE)).await;
    let mut runs = Vec::new();
    for n in 0..200 {
        runs.push(deliver(&host, "busy", n).await);
    }
    runs.push(deliver(&host, "calm", 0).await);
    host.engine.run().expect("running");
    ended(&host, &clock, &runs).await;
    let calm = service.lock().notes.iter().position(|note| note.mark == "calm/000").expect("noted");
    assert!(calm < 10, "the last event of another key came after {calm} of the busy one");
    assert_eq!(service.marks("busy"), numbered("busy", 0..200));
}

#[tokio::test(start_paused = true)]
async fn runs_of_other_flows_stand_in_line_too_and_never_wait_for_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    let called =
        |steps: &str| flow("{ mode: sequential }", steps).replace(HOOK, "  call: {}").replace("id: line", "id: called");
    let caller = "version: 1\nid: caller\nname: Caller\ntrigger: { manual: {} }\nsteps:\n  - id: each\n    foreach: [0, 1, 2]\n    concurrency: 3\n    steps: [{ id: call, call: called, input: { key: a, n: '{{ item }}' } }]\n";
    host.publish(&called(NOTE)).await;
    host.publish(caller).await;
    host.engine.run().expect("running");
    let run = host.engine.start(&test(), &id("caller"), json!({}), "ana").await.expect("started");
    ended(&host, &clock, std::slice::from_ref(&run)).await;
    assert_eq!(status(&host, &run), RunStatus::Succeeded);
    assert_eq!(service.marks("a"), ["a/0", "a/1", "a/2"]);
    assert_eq!(service.lock().overlaps, Vec::<String>::new());

    // A circle that no check of a document can see: a run keeps its version.
    let middle = "version: 1\nid: middle\nname: Middle\ntrigger: { call: {} }\nsteps:\n  - { id: back, call: called, input: {} }\n";
    let plain = middle.replace("call: called, input: {}", "transform: 1");
    host.publish(&plain).await;
    host.publish(&called("  - { id: rest, wait: { for: 1h } }\n  - { id: round, call: middle, input: {} }")).await;
    let start = "version: 1\nid: start\nname: Start\ntrigger: { manual: {} }\nsteps:\n  - { id: call, call: called, input: {} }\n";
    host.publish(start).await;
    let run = host.engine.start(&test(), &id("start"), json!({}), "ana").await.expect("started");
    let resting = || (host.runs("called").last()?.status == RunStatus::Waiting).then_some(());
    until("the run of the flow called rests", resting).await;
    host.publish(&called("  - { id: round, transform: 1 }")).await;
    host.publish(middle).await;
    clock.pass(3_600_000);
    ended(&host, &clock, std::slice::from_ref(&run)).await;
    let letters = host.engine.dead_letters(None, 10).expect("listed");
    assert!(letters.iter().any(|letter| letter.problem.code == "waits-for-itself"), "{letters:?}");
}
