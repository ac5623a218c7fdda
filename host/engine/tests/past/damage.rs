//! A large value that is damaged is the end of its run, and of nothing else.

use engine::{EngineError, RunStatus};
use model::Failure;
use serde_json::json;
use store::Options;

use crate::world::{DAY_MS, Host};

const WAITING: &str = r#"
version: 1
id: greet
name: Wait for an hour
trigger:
  manual: {}
steps:
  - id: rest
    wait: { for: 1h }
output: { length: "{{ trigger.text | length }}" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_rows_are_damaged_gives_up_and_its_neighbours_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path());
    host.publish(WAITING).await;
    host.engine.run().expect("running");
    let mut runs = Vec::new();
    for letter in ["a", "b", "c"] {
        let run = host.begin("greet", json!({ "text": letter.repeat(400_000) })).await;
        host.reaches(&run, |status| status == RunStatus::Waiting).await;
        runs.push(run);
    }
    host.close().await;
    let journal = folder.path().join("store/journal");
    let mut files: Vec<_> = std::fs::read_dir(&journal)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "blob"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 3, "each event is a file");
    let mut harmed = std::fs::read(&files[0]).expect("a file");
    harmed[200_000] ^= 1;
    std::fs::write(&files[0], harmed).expect("written");
    std::fs::remove_file(&files[1]).expect("removed");

    let host = Host::open_at(folder.path(), 30_001 * DAY_MS, Options::default());
    assert_eq!(host.engine.run().expect("running"), 3);
    assert_eq!(host.ended(&runs[2]).await, RunStatus::Succeeded);
    let letters = |host: &Host| host.engine.dead_letters(None, 10).expect("listed");
    for (run, why) in runs.iter().zip(["is not what was written", "is missing"]) {
        assert_eq!(host.ended(run).await, RunStatus::Failed);
        let letter = letters(&host).into_iter().find(|letter| letter.run == *run).expect("a dead letter");
        assert!(matches!(&letter.failure, Failure::MayHaveHappened { message } if message.contains(why)), "{letter:?}");
        let Err(error @ EngineError::Internal(_)) = host.engine.show_run(run) else { panic!("it cannot be shown") };
        let problem = error.problems().remove(0);
        assert!(
            problem.code == "stored-damaged" && problem.what.contains(".blob") && problem.fix.is_some(),
            "{problem}"
        );
    }
    assert_eq!(host.ids(None, 10).len(), 3, "they are listed");
    assert_eq!(letters(&host).len(), 2);
    host.close().await;
}
