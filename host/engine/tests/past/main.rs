//! Runs that are over: history instead of living rows, found, replayed, and
//! forgotten in time; data folders of earlier releases; and damaged ones.

mod damage;
mod fixtures;
mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{DeadFilter, ReplayVersion, RunStatus};
use model::RunId;
use store::Store;
use world::{DAY_MS, Host};

const FLOW: &str = r#"
version: 1
id: greet
name: Greetings
trigger:
  manual: {}
steps:
  - id: check
    if: "{{ trigger.wrong }}"
    then:
      - id: give-up
        stop: { outcome: failed, reason: it is wrong }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_run_leaves_the_living_state_and_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path());
    host.publish(FLOW).await;
    host.engine.run().expect("running");
    let mut runs = Vec::new();
    for number in 0..9 {
        let run = host.start(number % 3 == 0).await;
        host.ended(&run).await;
        runs.push(run);
    }
    runs.sort_by(|left, right| right.cmp(left));
    let failed: Vec<RunId> =
        host.engine.dead_letters(None, 100).expect("listed").into_iter().map(|it| it.run).collect();
    assert_eq!(failed.len(), 3);
    host.close().await;

    let host = Host::open(folder.path());
    assert_eq!(host.living(), ["dead", "flow", "flow-version"], "ended runs cost the living state nothing");
    for page in [1, 4, 100] {
        assert_eq!(host.ids(None, page), runs);
        assert_eq!(host.ids(Some(RunStatus::Failed), page), failed);
        assert_eq!(host.ids(Some(RunStatus::Succeeded), page).len(), 6);
        assert_eq!(host.ids(Some(RunStatus::Running), page), []);
    }
    let shown = host.engine.show_run(&failed[0]).expect("shown");
    assert_eq!(shown.record.status, RunStatus::Failed);
    assert!(shown.dead_letter.is_some() && shown.steps.len() == 2 && shown.trigger.is_some(), "{shown:?}");

    host.engine.run().expect("running");
    let again = host.engine.replay(&failed[0], ReplayVersion::Original, "test").await.expect("replayed");
    assert_eq!(host.ended(&again).await, RunStatus::Failed, "with the event of the run that is history");

    host.clock.0.fetch_add(31 * DAY_MS, Ordering::SeqCst);
    host.store.tidy(host.engine.now_ms()).expect("tidied");
    assert_eq!(host.ids(None, 100), []);
    assert!(host.engine.run_record(&runs[0]).is_err(), "forgotten");
    let open = host.engine.list_dead(&DeadFilter::default(), None, 100).expect("listed").letters;
    assert_eq!(open.len(), 3, "until they are settled");
    host.engine.drain(Duration::from_secs(20)).await;
}
