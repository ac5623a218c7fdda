//! Guests that show what they know. What a whole host lets them know is asked, with many
//! secrets and all their forms, by `tests/secrets`.

use guest_tests::{SECRET, Stage};
use sandbox::Answer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn dump_memory() {
    let stage = Stage::open().await;
    let report = stage.act("dump-memory").connected().text("answer reflect").run().await;
    let Ok(Answer::Output(text)) = &report.outcome else { panic!("it was to answer: {:?}", report.outcome) };
    assert!(text.contains("[redacted]") && !format!("{report:?}").contains(SECRET), "{text}");
    let heads = stage.receiver.heads();
    let dumps = heads.iter().filter(|head| head.starts_with("POST /base/dump")).count();
    assert!(dumps >= 1 && dumps == heads.len() - 1, "its memory was to leave: {heads:#?}");
}
