//! What connectors keep for a flow: as long as the flow is there.

use std::time::Duration;

use engine::RunStatus;
use model::RunId;
use serde_json::json;

use crate::service::{Service, set_up};
use crate::world::{Host, ManualClock, id, in_time, test};

const FLOW: &str = "version: 1
id: keeper
name: Keeper
trigger: { manual: {} }
steps:
  - { id: rest, when: '{{ trigger.rests }}', wait: { for: 1h } }
  - { id: note, uses: service/note, connection: account, input: { mark: 'a/{{ trigger.n }}', keep: true } }
";

async fn start(host: &Host, n: u32, rests: bool) -> RunId {
    let input = json!({ "n": n, "rests": rests });
    host.engine.start(&test(), &id("keeper"), input, "ana").await.expect("started")
}

async fn reaches(host: &Host, clock: &ManualClock, run: &RunId, wanted: RunStatus) {
    in_time(clock, "the run is so far", || {
        (host.engine.run_record(run).expect("a run").status == wanted).then_some(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_for_a_retired_flow_goes_once_nothing_of_it_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, service) = (ManualClock::at("2026-05-01T00:00:00Z"), Service::default());
    let host = service.open(folder.path(), &clock);
    set_up(&host.engine).await;
    host.publish(FLOW).await;
    host.engine.run().expect("running");
    for n in 1..=2 {
        let run = start(&host, n, false).await;
        reaches(&host, &clock, &run, RunStatus::Succeeded).await;
    }
    host.engine.retire_flow(&test(), &id("keeper"), "ana").await.expect("retired");
    host.publish(FLOW).await;
    let run = start(&host, 3, false).await;
    reaches(&host, &clock, &run, RunStatus::Succeeded).await;

    let open = start(&host, 4, true).await;
    reaches(&host, &clock, &open, RunStatus::Waiting).await;
    host.engine.retire_flow(&test(), &id("keeper"), "ana").await.expect("retired");
    clock.pass(3_600_000);
    reaches(&host, &clock, &open, RunStatus::Succeeded).await;
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    host.publish(FLOW).await;
    let run = start(&host, 5, false).await;
    reaches(&host, &clock, &run, RunStatus::Succeeded).await;
    let found: Vec<Option<&str>> = vec![None, Some("a/1"), None, Some("a/3"), None];
    let known = service.lock();
    assert_eq!(known.kept.iter().map(Option::as_deref).collect::<Vec<_>>(), found);
}
