//! What a manifest says of its service's pace holds for every run.

use std::sync::Arc;
use std::time::Duration;

use engine::RunStatus;
use model::RunId;
use serde_json::json;
use tokio::sync::Barrier;

use crate::service::{Service, set_up};
use crate::world::{Host, ManualClock, id, in_time, test, until};

fn flow(operation: &str) -> String {
    format!(
        "version: 1\nid: paced\nname: Paced\ntrigger: {{ manual: {{}} }}\nsteps:\n  - {{ id: call, uses: service/{operation}, connection: account, input: {{ mark: '{{{{ trigger }}}}' }} }}\n"
    )
}

async fn start(host: &Host, marks: &[&str]) -> Vec<RunId> {
    let mut runs = Vec::new();
    for mark in marks {
        runs.push(host.engine.start(&test(), &id("paced"), json!(mark), "ana").await.expect("started"));
    }
    runs
}

fn all_done(host: &Host, runs: &[RunId]) -> Option<()> {
    let status = |run: &RunId| host.engine.run_record(run).expect("a run").status;
    runs.iter().all(|run| status(run) == RunStatus::Succeeded).then_some(())
}

/// In real time: what is to go on beside a call has to be written first, by a thread.
#[tokio::test]
async fn calls_that_disturb_each_other_go_one_after_the_other_and_others_beside() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    // No call is answered before one of the other line is under way.
    service.lock().together = Some(Arc::new(Barrier::new(2)));
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(&flow("queue")).await;
    let runs = start(&host, &["a", "b", "a", "b", "a", "b", "a", "b", "a", "b"]).await;
    host.engine.run().expect("running");
    in_time(&clock, "all are done", || all_done(&host, &runs)).await;
    let known = service.lock();
    assert_eq!((known.notes.len(), &known.overlaps), (10, &Vec::new()));
    assert_eq!(known.most_at_once, 2, "those of the other one go past");
}

#[tokio::test(start_paused = true)]
async fn a_service_is_asked_as_often_as_its_connector_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(&flow("slow")).await;
    host.engine.run().expect("running");
    let begun = clock.now();
    let runs = start(&host, &["a", "b", "c"]).await;
    until("two are done", || (service.lock().notes.len() == 2).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((service.lock().calls, clock.now()), (2, begun), "the third one waits for the clock");
    in_time(&clock, "all are done", || all_done(&host, &runs)).await;
    assert!(clock.now() >= begun + 30_000, "after half a minute at the earliest");
    assert_eq!(service.lock().calls, 3, "and no call was made in vain");
}
