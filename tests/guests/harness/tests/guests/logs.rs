//! Logs: bounded, and never more than what they are.

use guest_tests::Stage;
use model::Failure;
use sandbox::{LogLine, Report};

use crate::{hidden, output};

const LIMIT: usize = 10_000;
const LINES: &str = "log_bytes = 10000";

/// The log is within its limit, and its last line alone says that it was cut.
fn assert_cut(report: &Report) {
    let ends =
        |line: &LogLine| line.message == format!("the log ends here: the call reached its limit log_bytes = {LIMIT}");
    let (last, lines) = report.log.split_last().expect("a log");
    assert!(ends(last) && !lines.iter().any(ends), "{last:?}");
    let fields = |line: &LogLine| line.fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let bytes: usize = lines.iter().map(|line| line.message.len() + fields(line)).sum();
    assert!(bytes > LIMIT / 4 && bytes <= LIMIT, "{bytes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn log_flood() {
    let report = Stage::open().await.act("log-flood").limits(LINES).run().await;
    assert_eq!(report.outcome, output("null"), "a flood costs the log, not the call");
    assert_cut(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn stderr_flood() {
    let report = Stage::open().await.act("stderr-flood").limits(LINES).run().await;
    assert_eq!(report.outcome, Err(Failure::Permanent { message: "done with it".to_owned() }));
    assert_cut(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn log_injection() {
    let report = Stage::open().await.act("log-injection").run().await;
    assert_eq!(report.log.len(), 3, "one line for each that was written: {:?}", report.log);
    for line in &report.log {
        assert!(!hidden(&line.message), "{line:?}");
        assert!(line.fields.iter().all(|(name, value)| !hidden(name) && !hidden(value)), "{line:?}");
    }
    assert!(report.log[0].message.contains("\\n{\"level\":\"INFO\""), "the forgery is shown as what it is");
    let Err(Failure::Permanent { message }) = &report.outcome else { panic!("{:?}", report.outcome) };
    assert!(!hidden(message), "{message:?}");
    assert!(message.starts_with("paid") && message.ends_with("end"), "{message:?}");
}
