//! Data folders of earlier formats: each must open, and go on where it was.
//!
//! One is written by this build in every run of the tests, so that what it holds and
//! what is asked of it never part. When the format changes, keep it as an archive:
//! `SLUICE_KEEP_FIXTURE=format-N.tar.gz cargo nextest run --workspace -E 'test(a_folder_of_this_build)'`
//! puts it beside the others, and every later build has to open it.

use std::path::{Path, PathBuf};
use std::process::Command;

use engine::{Accepted, Incoming, NewConnection, ReplayVersion, RunStatus};
use model::Credential;
use secrecy::SecretString;
use serde_json::json;
use store::{Options, Store as _};

use crate::world::{DAY_MS, Host, environment, name};

const BEGUN_MS: u64 = 30_000 * DAY_MS;
const HOUR_MS: u64 = DAY_MS / 24;
const TOKEN: &str = "token-of-the-fixture";
const NOTE: &str = "A long note, kept in a file of its own. ";

const FLOWS: [&str; 6] = [
    crate::FLOW,
    r#"
version: 1
id: brief
name: Soon forgotten
trigger:
  manual: {}
retention: { keep: 1m }
steps:
  - id: copy
    transform: "{{ trigger.text }}"
"#,
    r#"
version: 1
id: rest
name: Rest for a day
trigger:
  manual: {}
steps:
  - id: night
    wait: { for: 1d }
output: { rested: true }
"#,
    r#"
version: 1
id: ask
name: Ask first
trigger:
  manual: {}
steps:
  - id: ask
    approve: { role: finance, title: May it be paid?, outcomes: [pay, hold] }
output: { said: "{{ steps.ask.outcome }}" }
"#,
    r#"
version: 1
id: tick
name: Every morning
trigger:
  schedule: { cron: "0 9 * * *", zone: UTC, missed: once }
steps:
  - id: copy
    transform: "{{ trigger.nominal }}"
"#,
    r#"
version: 1
id: note
name: Take a note
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: hook
steps:
  - id: copy
    transform: "{{ trigger.text | length }}"
output: { bytes: "{{ steps.copy }}" }
"#,
];

/// Small segments, so that there are several.
fn options() -> Options {
    Options { segment_bytes: 8 << 10, ..Options::default() }
}

fn delivery() -> Incoming {
    let body = json!({ "id": "note-1", "text": NOTE.repeat(10_000) });
    Incoming {
        headers: vec![("x-token".to_owned(), TOKEN.to_owned())],
        query: String::new(),
        body: body.to_string().into(),
    }
}

/// Writes a folder with something of everything: history, some of it forgotten, a dead
/// letter; a run that waits, one with an answer it has not read, a delivery that was
/// only accepted, large; a schedule; segments, indexes, checkpoints and a blob.
async fn write(folder: &Path) {
    let host = Host::open_at(folder, BEGUN_MS, options());
    let hook = NewConnection {
        id: "hook".parse().expect("a name"),
        environment: environment(),
        plugin: engine::BUILT_IN_WEBHOOK.parse().expect("a name"),
        team: None,
        label: None,
        base_url: None,
        credential: Credential::None,
        webhook_secret: Some(SecretString::from(TOKEN)),
        scopes: Vec::new(),
    };
    host.engine.add_connection(hook, "test").await.expect("connected");
    for flow in FLOWS {
        host.publish(flow).await;
    }
    host.engine.run().expect("running");
    for number in 0..20 {
        let run = host.begin("brief", json!({ "text": "word ".repeat(300) })).await;
        host.ended(&run).await;
        if number % 4 == 0 {
            let run = host.start(number == 8).await;
            host.ended(&run).await;
        }
    }
    for flow in ["rest", "ask"] {
        let run = host.begin(flow, json!({})).await;
        host.reaches(&run, |status| status == RunStatus::Waiting).await;
    }
    host.close().await;
    // Not running: what arrives now is kept, and waits.
    let host = Host::open_at(folder, BEGUN_MS + HOUR_MS, options());
    let question = host.engine.approvals(false, None, 10).expect("listed").remove(0);
    host.engine.decide(&question.id, "pay", "ana", None).await.expect("decided");
    host.engine.accept(&environment(), &name("note"), delivery()).await.expect("accepted");
    assert!(host.store.tidy(host.engine.now_ms()).expect("tidied").segments > 0);
    host.store.checkpoint().expect("written");
    host.close().await;
}

/// What every such folder has to be, two days later.
async fn check(folder: &Path) {
    let host = Host::open_at(folder, BEGUN_MS + 2 * DAY_MS, Options::default());
    let statuses = |flow: &str| host.runs(flow).iter().map(|record| record.status).collect::<Vec<_>>();
    assert!(host.runs("brief").is_empty(), "forgotten");
    let greeted = statuses("greet");
    assert_eq!((greeted.len(), greeted.iter().filter(|status| **status == RunStatus::Failed).count()), (5, 1));
    for record in host.runs("greet") {
        assert!(host.engine.show_run(&record.id).expect("shown").trigger.is_some());
    }
    let open = ["rest", "ask", "note"].map(|flow| host.runs(flow).remove(0).id);
    assert_eq!(host.engine.run().expect("running"), 3);
    let wanted = [json!({ "rested": true }), json!({ "said": "pay" }), json!({ "bytes": NOTE.len() * 10_000 })];
    for (run, wanted) in open.iter().zip(wanted) {
        assert_eq!(host.ended(run).await, RunStatus::Succeeded);
        assert_eq!(host.engine.show_run(run).expect("shown").output, Some(wanted));
    }
    let again = host.engine.accept(&environment(), &name("note"), delivery()).await.expect("accepted");
    assert!(matches!(again, Accepted::Duplicate { run } if run == open[2]), "the delivery was seen before");
    let ticked = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while host.runs("tick").is_empty() {
            tokio::task::yield_now().await;
        }
    });
    ticked.await.expect("the schedule goes on");
    assert_eq!(host.runs("tick").len(), 1, "once for all the times that were missed");
    let letter = host.engine.dead_letters(None, 10).expect("listed").remove(0);
    let again = host.engine.replay(&letter.run, ReplayVersion::Original, "test").await.expect("replayed");
    assert_eq!(host.ended(&again).await, RunStatus::Failed);
    host.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_this_build_opens_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path()).await;
    for (place, ending) in [("journal", "ckp"), ("journal", "idx"), ("journal", "blob"), ("journal", "list")] {
        let names = std::fs::read_dir(folder.path().join("store").join(place)).expect("a folder");
        let found =
            names.filter(|entry| entry.as_ref().expect("an entry").path().extension().is_some_and(|it| it == ending));
        assert!(found.count() > 0, "there is no .{ending}");
    }
    if let Some(archive) = std::env::var_os("SLUICE_KEEP_FIXTURE") {
        let packed = Command::new("tar")
            .arg("-czf")
            .arg(archives().join(archive))
            .arg("-C")
            .arg(folder.path())
            .args(["vault.key", "store"])
            .status();
        assert!(packed.expect("tar").success());
    }
    check(folder.path()).await;
}

/// As they were left, and by their checkpoints alone.
#[tokio::test(flavor = "multi_thread")]
async fn folders_of_earlier_formats_open_and_go_on() {
    let mut opened = 0;
    for entry in std::fs::read_dir(archives()).expect("a folder") {
        let archive = entry.expect("an entry").path();
        let name = archive.file_name().and_then(|name| name.to_str()).expect("a name");
        if name.starts_with("format-") {
            for rows_are_lost in [false, true] {
                let folder = tempfile::tempdir().expect("a folder");
                unpack(&archive, folder.path());
                if rows_are_lost {
                    std::fs::remove_dir_all(folder.path().join("store/sled")).expect("removed");
                }
                check(folder.path()).await;
            }
            opened += 1;
        }
    }
    assert!(opened > 0, "there are folders of earlier formats");
}

/// A data folder of release 0.1.0: rows without a place in the journal, ended
/// runs among the living, one run still open, one dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_the_first_release_opens_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    unpack(&archives().join("data-0.1.0.tar.gz"), folder.path());
    let host = Host::open(folder.path());
    assert_eq!(host.ids(None, 3).len(), 4);
    assert_eq!(host.ids(Some(RunStatus::Succeeded), 1).len(), 2);
    let open = host.ids(Some(RunStatus::Running), 1);
    assert_eq!(open.len(), 1);
    host.engine.run().expect("running");
    assert_eq!(host.ended(&open[0]).await, RunStatus::Succeeded);
    let shown = host.engine.show_run(&open[0]).expect("shown");
    assert_eq!(shown.output, Some(json!({ "greeting": "Hello Edsger" })));
    let letters = host.engine.dead_letters(None, 10).expect("listed");
    assert_eq!(letters.len(), 1);
    let again = host.engine.replay(&letters[0].run, ReplayVersion::Original, "test").await.expect("replayed");
    assert_eq!(host.ended(&again).await, RunStatus::Failed);
    host.close().await;
    let host = Host::open(folder.path());
    assert_eq!(host.ids(None, 2).len(), 5);
    assert_eq!(host.ids(Some(RunStatus::Running), 1), []);
}

fn archives() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn unpack(archive: &Path, folder: &Path) {
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder).status().expect("tar");
    assert!(status.success());
}
