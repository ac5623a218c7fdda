//! A credential that is refused: runs wait for another one, and nothing is lost.

use std::path::Path;
use std::sync::Arc;

use engine::{ConnectionView, Renewal, RunStatus};
use model::{ConnectionId, Failure, RunId};
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::service::{Service, connect, set_up};
use crate::world::{Host, ManualClock, id, in_time, test, until};

const FLOW: &str = "version: 1
id: notes
name: Notes
concurrency: { mode: limited, most: 1 }
trigger: { manual: {} }
steps:
  - { id: one, uses: service/OPERATION, connection: account, input: { mark: 'one/{{ trigger.n }}' } }
  - { id: two, uses: service/OPERATION, connection: account, input: { mark: 'two/{{ trigger.n }}' } }
";

fn account() -> ConnectionId {
    "account".parse().expect("a name")
}

fn show(host: &Host) -> ConnectionView {
    host.engine.show_connection(&test(), &account()).expect("a connection")
}

async fn host(folder: &Path, clock: &Arc<ManualClock>, service: &Service, operation: &str) -> Host {
    let host = service.open(folder, clock);
    set_up(&host.engine).await;
    host.publish(&FLOW.replace("OPERATION", operation)).await;
    host
}

async fn start(host: &Host, n: usize) -> RunId {
    host.engine.start(&test(), &id("notes"), json!({ "n": n }), "ana").await.expect("started")
}

async fn start_some(host: &Host) -> Vec<RunId> {
    vec![start(host, 0).await, start(host, 1).await, start(host, 2).await]
}

fn status(host: &Host, run: &RunId) -> RunStatus {
    host.engine.run_record(run).expect("the run is kept").status
}

fn all_are(host: &Host, runs: &[RunId], wanted: RunStatus) -> Option<()> {
    runs.iter().all(|run| status(host, run) == wanted).then_some(())
}

async fn renew(host: &Host) -> Result<engine::ConnectionRecord, engine::EngineError> {
    let renewal = Renewal { secret: Some(SecretString::from("another token")), ..Renewal::default() };
    host.engine.update_connection(&test(), &account(), renewal).await
}

/// Every call of a run took effect under one key, and only once unless it may be repeated.
fn check_notes(service: &Service, runs: &[RunId], may_repeat: bool) {
    let known = service.lock();
    for run in runs {
        for step in ["one", "two"] {
            let of_step = |note: &&crate::service::Note| note.run == run.as_str() && note.mark.starts_with(step);
            let notes: Vec<_> = known.notes.iter().filter(of_step).collect();
            assert!(notes.len() == 1 || may_repeat && !notes.is_empty(), "{run} {step}: {notes:?}");
            assert!(notes.iter().all(|note| note.key == format!("{run}-{step}")), "{notes:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn runs_wait_for_another_credential_and_go_on_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = host(folder.path(), &clock, &service, "fire").await;
    host.engine.run().expect("running");
    service.lock().expired = true;
    let mut runs = vec![start(&host, 0).await];
    in_time(&clock, "it waits", || all_are(&host, &runs, RunStatus::NeedsReauthorisation)).await;
    assert_eq!(service.lock().calls, 2, "one call, and another one at once");
    let refusal = in_time(&clock, "the connection is marked", || show(&host).needs_reauthorisation).await;
    assert_eq!((refusal.run.as_ref(), &refusal.failure), (Some(&runs[0]), &Failure::AuthExpired));
    assert!(host.engine.connections().iter().any(|listed| listed.needs_reauthorisation.is_some()));

    runs.extend([start(&host, 1).await, start(&host, 2).await]);
    in_time(&clock, "all wait", || all_are(&host, &runs, RunStatus::NeedsReauthorisation)).await;
    assert_eq!(service.lock().calls, 2, "nobody asks in vain");
    assert_eq!(host.engine.health().waiting, 0, "and nobody comes back by the clock");

    // Another credential that is refused too.
    renew(&host).await.expect("updated");
    in_time(&clock, "they were woken", || (service.lock().calls >= 4).then_some(())).await;
    in_time(&clock, "all wait again", || all_are(&host, &runs, RunStatus::NeedsReauthorisation)).await;
    assert_eq!(show(&host).record.renewals, 1);

    until("nobody works", || (host.engine.health().running + host.engine.health().ready == 0).then_some(())).await;
    service.lock().expired = false;
    renew(&host).await.expect("updated");
    in_time(&clock, "all are done", || all_are(&host, &runs, RunStatus::Succeeded)).await;
    assert_eq!(show(&host).needs_reauthorisation, None);
    check_notes(&service, &runs, false);
    let first: Vec<String> = service.marks("one");
    assert_eq!(first, ["one/0", "one/1", "one/2"], "in the order of their acceptance");
    assert!(host.engine.dead_letters(None, 10).expect("listed").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_commit_loses_nothing_while_runs_begin_to_wait() {
    let mut crashed = 0;
    for commits in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
        let before = host(folder.path(), &clock, &service, "note").await;
        let runs = start_some(&before).await;
        before.crash().await;
        service.lock().expired = true;
        let frail = service.open(folder.path(), &clock);
        frail.stop_after(commits);
        frail.engine.run().expect("running");
        let parked = |host: &Host| all_are(host, &runs, RunStatus::NeedsReauthorisation);
        in_time(&clock, "it stopped or all wait", || parked(&frail).or(frail.has_stopped().then_some(()))).await;
        crashed += usize::from(frail.has_stopped());
        frail.crash().await;
        let after = service.open(folder.path(), &clock);
        after.engine.run().expect("running");
        in_time(&clock, "all wait", || parked(&after)).await;
        service.lock().expired = false;
        renew(&after).await.expect("updated");
        in_time(&clock, "all are done", || all_are(&after, &runs, RunStatus::Succeeded)).await;
        check_notes(&service, &runs, false);
        after.crash().await;
    }
    assert!(crashed >= 8, "it crashed {crashed} times only");
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_commit_loses_nothing_while_they_go_on() {
    let mut crashed = 0;
    for commits in 0..24 {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
        let frail = host(folder.path(), &clock, &service, "note").await;
        frail.engine.run().expect("running");
        service.lock().expired = true;
        let runs = start_some(&frail).await;
        in_time(&clock, "all wait", || all_are(&frail, &runs, RunStatus::NeedsReauthorisation)).await;
        service.lock().expired = false;
        frail.stop_after(commits);
        // Who is told of a crash does it again.
        let told = renew(&frail).await;
        let done = || all_are(&frail, &runs, RunStatus::Succeeded).or(frail.has_stopped().then_some(()));
        in_time(&clock, "it stopped or all are done", done).await;
        crashed += usize::from(frail.has_stopped());
        frail.crash().await;
        let after = service.open(folder.path(), &clock);
        after.engine.run().expect("running");
        if told.is_err() && show(&after).needs_reauthorisation.is_some() {
            renew(&after).await.expect("updated");
        }
        in_time(&clock, "all are done", || all_are(&after, &runs, RunStatus::Succeeded)).await;
        check_notes(&service, &runs, true);
        after.crash().await;
    }
    assert!(crashed >= 8, "it crashed {crashed} times only");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_credential_before_says_nothing_of_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = host(folder.path(), &clock, &service, "fire").await;
    host.engine.run().expect("running");
    let gate = Arc::new(Semaphore::new(1));
    service.lock().expired = true;
    service.lock().gate = Some(gate.clone());
    let run = start(&host, 0).await;
    in_time(&clock, "the second call is under way", || (service.lock().calls == 2).then_some(())).await;
    service.lock().expired = false;
    renew(&host).await.expect("updated");
    gate.add_permits(1);
    in_time(&clock, "it is done", || all_are(&host, std::slice::from_ref(&run), RunStatus::Succeeded)).await;
    assert_eq!(show(&host).needs_reauthorisation, None);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_can_be_cancelled_and_outlasts_a_revoked_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = host(folder.path(), &clock, &service, "fire").await;
    host.engine.run().expect("running");
    service.lock().expired = true;
    let runs = start_some(&host).await;
    in_time(&clock, "all wait", || all_are(&host, &runs, RunStatus::NeedsReauthorisation)).await;
    host.engine.cancel(&runs[0], "ana", "not needed").await.expect("asked");
    in_time(&clock, "one is cancelled", || all_are(&host, &runs[..1], RunStatus::Cancelled)).await;

    host.engine.revoke_connection(&test(), &account(), "ana").await.expect("revoked");
    assert!(host.engine.flow(&test(), &id("notes")).expect("a flow").paused.is_some());
    host.crash().await;
    let host = service.open(folder.path(), &clock);
    host.engine.run().expect("running");
    all_are(&host, &runs[1..], RunStatus::NeedsReauthorisation).expect("they wait");
    service.lock().expired = false;
    connect(&host.engine, "account", "service").await;
    in_time(&clock, "the others are done", || all_are(&host, &runs[1..], RunStatus::Succeeded)).await;
    check_notes(&service, &runs[1..], false);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_succeeds_mends_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = host(folder.path(), &clock, &service, "note").await;
    host.engine.run().expect("running");
    service.lock().expired = true;
    let runs = start_some(&host).await;
    in_time(&clock, "all wait", || all_are(&host, &runs, RunStatus::NeedsReauthorisation)).await;
    host.engine.check_connection(&test(), &account()).await.expect("checked");
    until("still refused", || show(&host).needs_reauthorisation).await;
    service.lock().expired = false;
    let checked = host.engine.check_connection(&test(), &account()).await.expect("checked");
    assert!(checked.outcome.is_ok(), "{:?}", checked.outcome);
    in_time(&clock, "all are done", || all_are(&host, &runs, RunStatus::Succeeded)).await;
    let nothing = host.engine.update_connection(&test(), &account(), Renewal::default()).await;
    assert_eq!(nothing.expect_err("nothing is new").problems()[0].code, "nothing-new");
}
