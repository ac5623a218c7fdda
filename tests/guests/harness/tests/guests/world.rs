//! WASI's way out: sockets, files, environment; linked, empty and denying.

use std::fs;

use guest_tests::Stage;

use crate::output;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn wasi_sockets() {
    let stage = Stage::open().await;
    let report = stage.act("wasi-sockets").input(stage.receiver.port().to_string()).run().await;
    assert_eq!(report.outcome, output("[]"), "nothing works");
    assert_eq!(stage.receiver.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn wasi_files() {
    let stage = Stage::open().await;
    let file = stage.inbox().join("letter.txt");
    fs::write(&file, "dear").expect("written");
    let report = stage.act("wasi-files").text(&file.display().to_string()).run().await;
    assert_eq!(report.outcome, output("[]"), "nothing works, not even in a granted folder");
    assert_eq!(fs::read_to_string(&file).expect("still there"), "dear");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn wasi_environment() {
    let report = Stage::open().await.act("wasi-environment").run().await;
    assert_eq!(report.outcome, output("[]"), "nothing is there");
}
