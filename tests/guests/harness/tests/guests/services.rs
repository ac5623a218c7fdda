//! The later interfaces: state, keys, polls, subscriptions, choices, migrations.

use guest_tests::Stage;
use model::{Failure, KeyName};
use sandbox::{Answer, Position};

use crate::{Outcome, limit, told};

const SMALL: &str = "output_bytes = 100000";

/// Where an answer breaks the contract.
fn place(outcome: &Outcome) -> &str {
    match outcome {
        Err(Failure::InvalidOutput { fields }) => &fields[0].path,
        other => panic!("the answer was to break the contract: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn state_flood() {
    let stage = Stage::open().await;
    let act = |what: &'static str| stage.act("state-flood").keeping().text(what).run();
    assert_eq!(act("values").await.outcome, limit("state_bytes", 1 << 20), "its own words do not count");
    for (what, wanted) in [
        ("large", "state_value_bytes after 0"),
        ("writes", "state_writes after 100"),
        ("swaps", "state_writes after 100"),
        ("deletes", "state_writes after 100"),
        ("reads", "state_reads after 1000"),
        ("long", "invalid key after 0"),
        ("empty", "invalid key after 0"),
    ] {
        assert_eq!(told(&act(what).await), [wanted], "{what}");
    }
    let nothing = stage.act("state-flood").text("writes").run().await;
    assert_eq!(told(&nothing), ["unavailable: state belongs to a flow, and none makes this call"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn crypto_oracle() {
    let stage = Stage::open().await;
    let act = |what: &'static str| stage.act("crypto-oracle").keyed(KeyName::WebhookSecret).text(what).run();
    assert!(told(&act("forge").await)[0].starts_with("denied the webhook secret checks signatures and makes none"));
    assert!(told(&act("unasked").await)[0].starts_with("denied the manifest does not ask for the key credential"));
    assert_eq!(told(&act("guess").await), ["limit crypto_calls"]);
    assert_eq!(told(&act("large").await), ["limit crypto_bytes"]);
    assert_eq!(told(&act("cut").await), ["answered 0"], "a code of nothing is no code");
    assert_eq!(told(&stage.act("crypto-oracle").text("guess").run().await), ["no key"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn page_flood() {
    let stage = Stage::open().await;
    let act = |what: &'static str| stage.act("page-flood").limits(SMALL).poll(Position::Beginning).text(what).run();
    assert_eq!(act("many").await.outcome, limit("page_items", 1_000));
    assert!(matches!(act("payloads").await.outcome, Err(Failure::LimitExceeded { .. })));
    assert_eq!(place(&act("nameless").await.outcome), "/items/0/dedupe-key");
    assert_eq!(place(&act("long").await.outcome), "/items/0/order-key");
    assert_eq!(place(&act("broken").await.outcome), "/items/1/payload");
    assert!(matches!(act("fine").await.outcome, Ok(Answer::Page(page)) if page.items.is_empty() && page.more));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn cursor_bomb() {
    let stage = Stage::open().await;
    let mut from = Position::Now;
    for bytes in [1 << 14, 1 << 15, 1 << 16, 1 << 17] {
        let outcome = stage.act("cursor-bomb").poll(from).run().await.outcome;
        let Ok(Answer::Page(page)) = outcome else { panic!("{bytes}: {outcome:?}") };
        assert_eq!(page.cursor.len(), bytes);
        from = Position::After(page.cursor);
    }
    assert_eq!(stage.act("cursor-bomb").poll(from).run().await.outcome, limit("cursor_bytes", 128 << 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn choice_flood() {
    let stage = Stage::open().await;
    let act = |what: &'static str| stage.act("choice-flood").limits(SMALL).choices().text(what).run();
    let million = act("million").await.outcome;
    assert!(matches!(million, Err(Failure::LimitExceeded { .. })), "{million:?}");
    assert_eq!(act("many").await.outcome, limit("choices", 1_000));
    assert_eq!(place(&act("lines").await.outcome), "/choices/1/label");
    assert_eq!(act("endless").await.outcome, limit("page_bytes", 4_096));
    assert_eq!(place(&stage.act("choice-flood").fields().run().await.outcome), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn lying_migration() {
    let stage = Stage::open().await;
    let act = |what: &str| stage.act("lying-migration").limits(SMALL).migrate().text(what).run();
    assert_eq!(place(&act("broken").await.outcome), "");
    assert_eq!(place(&act("deep").await.outcome), "");
    assert_eq!(act("huge").await.outcome, limit("output_bytes", 100_000));
    let reaching = act(&stage.canary.origin()).await;
    let Ok(Answer::Config(told)) = &reaching.outcome else { panic!("{reaching:?}") };
    assert!(told.starts_with("\"denied no destination of the manifest"), "{told}");
    assert_eq!((stage.canary.connections(), reaching.sent), (0, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn lying_subscription() {
    let stage = Stage::open().await;
    let act = |what: &'static str| stage.act("lying-subscription").subscribe().text(what).run();
    assert_eq!(place(&act("empty").await.outcome), "/handle");
    assert_eq!(act("huge").await.outcome, limit("handle_bytes", 4_096));
    let told = act("secret").await.outcome;
    let Ok(Answer::Subscribed(made)) = told else { panic!("{told:?}") };
    assert_eq!(made.handle, "the-reference", "all that it knows of the secret");
}
