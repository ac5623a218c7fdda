//! Polls: nothing lost, nothing doubled, in order, whatever fails.

use model::Failure;
use serde_json::Value;

use crate::remote::{Shared, connect, set_up};
use crate::world::{Host, ManualClock, id, in_time, test, until};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

fn polled(poll: &str) -> String {
    format!(
        "version: 1\nid: news\nname: News\ntrigger: {{ uses: remote/new-item, connection: account, config: {{}}, poll: {{ {poll} }} }}\nsteps:\n  - {{ id: a, transform: \"{{{{ trigger.number }}}}\" }}\n"
    )
}

async fn host(folder: &std::path::Path, clock: &std::sync::Arc<ManualClock>, remote: &Shared) -> Host {
    let host = Host::with_connectors(folder, clock, std::sync::Arc::new(remote.clone()));
    set_up(&host.engine).await;
    host.engine.run().expect("running");
    host
}

/// Waits until a flow was polled and has a time for the next poll.
async fn first_poll(host: &Host, flow: &str) {
    let has_ended = |view: engine::PollView| view.begun && view.last_ms.is_some() && view.next_ms.is_some();
    until("the first poll has ended", || has_ended(host.poll(flow)).then_some(())).await;
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["number"].as_u64().expect("a number")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_flow_begins_with_what_is_yet_to_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(10));
    remote.lock().items = 5;
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(&polled("every: 5m")).await;
    first_poll(&host, "news").await;
    assert_eq!(host.runs("news").len(), 0, "what is there already does not count");
    remote.lock().items = 8;
    clock.pass(6 * MINUTE_MS);
    assert_eq!(numbers(&host.events("news", 3).await), [5, 6, 7]);
    first_poll(&host, "news").await;
    let view = host.poll("news");
    assert_eq!((view.failures, view.problem, view.last_run), (0, None, host.runs("news").pop().map(|run| run.id)));
    let next_ms = view.next_ms.expect("a next poll") - view.last_ms.expect("a last poll");
    assert!((270_000..=330_000).contains(&next_ms), "five minutes, more or less: {next_ms}");
}

#[tokio::test(start_paused = true)]
async fn from_the_beginning_in_pages_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(7));
    remote.lock().items = 100;
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(&polled("every: 5m, from: beginning")).await;
    // Fifteen pages: more than are asked for in a row.
    in_time(&clock, "all pages are there", || (host.runs("news").len() == 100).then_some(())).await;
    assert_eq!(numbers(&host.events("news", 100).await), (0..100).collect::<Vec<_>>());
    assert_eq!(remote.lock().at_once.1, 1, "nobody polls a flow twice at once");
}

#[tokio::test(start_paused = true)]
async fn an_empty_poll_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(10));
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(&polled("every: 1m")).await;
    first_poll(&host, "news").await;
    let before = host.commits();
    for polls in 2..12 {
        in_time(&clock, "a further poll", || (remote.lock().polls.len() >= polls).then_some(())).await;
    }
    first_poll(&host, "news").await;
    assert_eq!(host.commits(), before);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_are_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(10));
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(&polled("every: 1m, from: beginning")).await;
    first_poll(&host, "news").await;
    let gone = Failure::NotFound { message: "the board is gone".to_owned() };
    remote.lock().failures.extend([Failure::Transient { message: "reset".to_owned() }, gone.clone()]);
    remote.lock().items = 1;
    clock.pass(2 * MINUTE_MS);
    let view = until("the first failure", || Some(host.poll("news")).filter(|view| view.failures == 1)).await;
    let wait = |view: &engine::PollView| view.next_ms.unwrap_or_default().saturating_sub(clock.now());
    let settled = until("its wait", || Some(host.poll("news")).filter(|view| view.next_ms.is_some())).await;
    assert!(wait(&settled) <= 30_000 && view.problem.is_some(), "{settled:?}");
    let wanted = Some(gone.to_problem().code);
    let is_gone = |view: &engine::PollView| code(view) == wanted && view.next_ms.is_some();
    let view = in_time(&clock, "the second failure", || Some(host.poll("news")).filter(is_gone)).await;
    assert!(wait(&view) >= HOUR_MS / 3, "a person has to act first: {view:?}");
    connect(&host.engine).await;
    let soon = host.poll("news").next_ms.is_none_or(|at_ms| at_ms <= clock.now() + MINUTE_MS);
    assert!(soon, "at once, once the connection is mended");
    in_time(&clock, "it is asked again", || (host.runs("news").len() == 1).then_some(())).await;
    assert_eq!(numbers(&host.events("news", 1).await), [0]);
    until("nothing is wrong any more", || (host.poll("news").failures == 0).then_some(())).await;
}

fn code(view: &engine::PollView) -> Option<String> {
    view.problem.as_ref().map(|problem| problem.code.clone())
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_waited_for_without_asking_and_across_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(10));
    let before = host(folder.path(), &clock, &remote).await;
    before.publish(&polled("every: 1m, from: beginning")).await;
    first_poll(&before, "news").await;
    remote.lock().failures.push_back(Failure::AuthExpired);
    remote.lock().items = 1;
    assert_eq!(numbers(&in_time_events(&before, &clock, 1).await), [0], "once more at once: it was a mistake");

    remote.lock().failures.extend([Failure::AuthExpired, Failure::AuthExpired]);
    remote.lock().items = 2;
    let expired = |view: &engine::PollView| code(view).as_deref() == Some("auth-expired") && view.next_ms.is_none();
    in_time(&clock, "it waits", || Some(before.poll("news")).filter(expired)).await;
    let refusal = before.engine.show_connection(&test(), &account()).expect("known").needs_reauthorisation;
    let refusal = refusal.expect("marked");
    assert_eq!((refusal.run, refusal.flow), (None, Some(id("news"))));
    let standing = before.engine.flow_standing(&test(), &id("news")).expect("a standing");
    let how = standing.waits[0].how.as_deref().expect("a command");
    assert!(how.starts_with("sluice connection update account --environment test"), "{how}");
    let asked = remote.lock().polls.len();
    for _ in 0..50 {
        clock.pass(10 * HOUR_MS);
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
    assert_eq!(remote.lock().polls.len(), asked, "nobody asks in vain");
    before.crash().await;

    let host = Host::with_connectors(folder.path(), &clock, std::sync::Arc::new(remote.clone()));
    host.engine.run().expect("running");
    in_time(&clock, "it waits again", || Some(host.poll("news")).filter(expired)).await;
    assert_eq!(remote.lock().polls.len(), asked, "nor after a restart");
    let renewal = engine::Renewal { secret: Some("another token".into()), ..engine::Renewal::default() };
    host.engine.update_connection(&test(), &account(), renewal).await.expect("updated");
    assert_eq!(numbers(&in_time_events(&host, &clock, 2).await), [0, 1]);
    until("nothing is wrong any more", || host.poll("news").problem.is_none().then_some(())).await;
    assert_eq!(host.engine.flow_standing(&test(), &id("news")).expect("a standing").waits, []);
}

fn account() -> model::ConnectionId {
    "account".parse().expect("a name")
}

/// The events of so many runs, which come as time goes on.
async fn in_time_events(host: &Host, clock: &ManualClock, count: usize) -> Vec<Value> {
    in_time(clock, "the runs are there", || (host.runs("news").len() == count).then_some(())).await;
    host.events("news", count).await
}

#[tokio::test(start_paused = true)]
async fn another_trigger_begins_anew_and_the_same_one_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(10));
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(&polled("every: 5m")).await;
    first_poll(&host, "news").await;
    host.publish(&polled("every: 10m")).await;
    remote.lock().items = 2;
    clock.pass(20 * MINUTE_MS);
    host.events("news", 2).await;
    assert!(remote.lock().polls.iter().filter(|from| *from == "now").count() == 1);
    host.publish(&polled("every: 5m").replace("config: {}", "config: { other: 1 }")).await;
    until("it begins anew", || (remote.lock().polls.iter().filter(|from| *from == "now").count() == 2).then_some(()))
        .await;

    // Started by hand now: nobody polls any more.
    host.publish("version: 1\nid: news\nname: News\ntrigger: { manual: {} }\nsteps:\n  - { id: a, transform: 1 }\n")
        .await;
    let polls = remote.lock().polls.len();
    remote.lock().items = 9;
    host.publish(&polled("every: 5m").replace("id: news", "id: other")).await;
    in_time(&clock, "others are polled twice", || (remote.lock().polls.len() > polls + 1).then_some(())).await;
    assert_eq!(host.runs("news").len(), 2);
    let by_hand = host.engine.start(&test(), &id("other"), Value::Null, "ana").await;
    assert!(matches!(by_hand, Err(engine::EngineError::Refused(_))), "{by_hand:?}");
}

/// The store stops after so many commits, as at a crash; the next host goes on. After
/// every commit in turn.
#[tokio::test(start_paused = true)]
async fn a_crash_after_any_commit_loses_and_doubles_nothing() {
    let mut crashed = 0;
    for commits in 0..30 {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(3));
        let set_up_first = host(folder.path(), &clock, &remote).await;
        set_up_first.publish(&polled("every: 5m, from: beginning")).await;
        first_poll(&set_up_first, "news").await;
        set_up_first.crash().await;
        remote.lock().items = 10;
        clock.pass(10 * MINUTE_MS);

        let frail = Host::with_connectors(folder.path(), &clock, std::sync::Arc::new(remote.clone()));
        frail.stop_after(commits);
        frail.engine.run().expect("running");
        in_time(&clock, "it has stopped or is done", || {
            (frail.has_stopped() || frail.runs("news").iter().filter(|run| run.status.is_final()).count() == 10)
                .then_some(())
        })
        .await;
        crashed += usize::from(frail.has_stopped());
        frail.crash().await;

        let after = Host::with_connectors(folder.path(), &clock, std::sync::Arc::new(remote.clone()));
        after.engine.run().expect("running");
        in_time(&clock, "the rest is there", || (after.runs("news").len() >= 10).then_some(())).await;
        // A further poll finds nothing that was found before.
        let polls = remote.lock().polls.len();
        in_time(&clock, "a further poll", || (remote.lock().polls.len() > polls).then_some(())).await;
        let events = after.events("news", 10).await;
        assert_eq!(numbers(&events), (0..10).collect::<Vec<_>>(), "after {commits} commits");
        after.crash().await;
    }
    assert!(crashed >= 5, "it crashed {crashed} times only");
}
