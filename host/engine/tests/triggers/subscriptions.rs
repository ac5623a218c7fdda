//! Webhooks at the service: made, prolonged, changed and taken away, across crashes.

use engine::{Accepted, EngineError, HookView, Incoming, NewSecret, Rotation, SubscriptionState, TriggerView};
use model::Failure;

use crate::remote::{Shared, set_up};
use crate::world::{Host, ManualClock, id, in_time, test, until};

const DAY_MS: u64 = 24 * 3_600_000;
const FLOW: &str = "version: 1\nid: news\nname: News\ntrigger: { uses: remote/item, connection: account, config: {} }\nsteps:\n  - { id: a, transform: 1 }\n";
const BY_HAND: &str =
    "version: 1\nid: news\nname: News\ntrigger: { manual: {} }\nsteps:\n  - { id: a, transform: 1 }\n";
const PUBLIC: &str = "https://flows.example.com";

fn open(folder: &std::path::Path, clock: &std::sync::Arc<ManualClock>, remote: &Shared) -> Host {
    let host = Host::with_connectors(folder, clock, std::sync::Arc::new(remote.clone()));
    host.engine.set_public_url(PUBLIC).expect("an address");
    host
}

async fn host(folder: &std::path::Path, clock: &std::sync::Arc<ManualClock>, remote: &Shared) -> Host {
    let host = open(folder, clock, remote);
    set_up(&host.engine).await;
    host.engine.run().expect("running");
    host
}

fn hook(host: &Host) -> HookView {
    match host.trigger("news") {
        TriggerView::Webhook(hook) => hook,
        other => panic!("{other:?}"),
    }
}

fn state(host: &Host) -> Option<SubscriptionState> {
    hook(host).subscription.map(|subscription| subscription.state)
}

async fn subscribed(host: &Host) {
    until("it is subscribed", || (state(host) == Some(SubscriptionState::Subscribed)).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn publishing_subscribes_and_another_trigger_unsubscribes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(1));
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(FLOW).await;
    subscribed(&host).await;
    assert_eq!(remote.lock().hooks, [("hook-1".to_owned(), format!("{PUBLIC}/hooks/test/news"))]);
    assert!(hook(&host).own_secret, "the host made one");

    // The same again, and with other steps, is the same webhook.
    host.publish(FLOW).await;
    host.publish(&FLOW.replace("transform: 1", "transform: 2")).await;
    clock.pass(DAY_MS);
    subscribed(&host).await;
    assert_eq!(remote.lock().asked, ["subscribe"]);

    // Other configuration: the old one goes, and one is made.
    host.publish(&FLOW.replace("config: {}", "config: { kind: bug }")).await;
    until("the old one is gone", || (remote.lock().asked.len() == 3).then_some(())).await;
    subscribed(&host).await;
    assert_eq!(remote.lock().asked, ["subscribe", "unsubscribe", "subscribe"]);
    host.publish(BY_HAND).await;
    until("nothing is left", || remote.lock().hooks.is_empty().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_prolonged_ahead_of_its_end_and_made_anew_when_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(1));
    (remote.lock().life_ms, remote.lock().now_ms) = (Some(3 * DAY_MS), 0);
    remote.lock().now_ms = clock.now();
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(FLOW).await;
    subscribed(&host).await;
    clock.pass(2 * DAY_MS - 1_000);
    remote.lock().now_ms = clock.now();
    host.publish(&FLOW.replace("transform: 1", "transform: 2")).await;
    assert_eq!(remote.lock().asked, ["subscribe"], "there is time");
    clock.pass(2_000);
    until("it is prolonged", || (remote.lock().asked.len() == 2).then_some(())).await;
    let until_ms = clock.now() + 3 * DAY_MS - 2_000;
    until("its new end is known", || {
        hook(&host).subscription.filter(|there| there.expires_ms.is_some_and(|at_ms| at_ms >= until_ms))
    })
    .await;
    remote.lock().hooks.clear();
    clock.pass(3 * DAY_MS);
    until("it is made anew", || (remote.lock().hooks.len() == 1).then_some(())).await;
    assert_eq!(remote.lock().asked, ["subscribe", "renew", "renew", "subscribe"]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_shown_with_the_way_by_hand_and_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(1));
    remote.lock().failures.push_back(Failure::MissingScopes { scopes: vec!["hooks:write".parse().expect("a scope")] });
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(FLOW).await;
    until("it fails", || (state(&host) == Some(SubscriptionState::Failing)).then_some(())).await;
    let problem = hook(&host).subscription.and_then(|there| there.problem).expect("a problem");
    assert!(problem.fix.expect("a fix").contains("open Settings and add a webhook"));
    let mended = || (state(&host) == Some(SubscriptionState::Subscribed)).then_some(());
    in_time(&clock, "it is tried again", mended).await;

    // Without a public address a person has to do it.
    host.crash().await;
    let unknown = Host::with_connectors(folder.path(), &clock, std::sync::Arc::new(remote.clone()));
    unknown.engine.run().expect("running");
    assert_eq!(state(&unknown), Some(SubscriptionState::ByHand));
    assert_eq!(remote.lock().hooks.len(), 1, "what is there stays");
    assert!(unknown.engine.set_public_url("flows.example.com").is_err());
}

/// An attempt whose answer is known says nothing of one before it.
#[tokio::test(start_paused = true)]
async fn a_webhook_that_nobody_heard_of_is_taken_away_although_later_attempts_were_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(1));
    remote.lock().loses_answer = true;
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(FLOW).await;
    until("it was made", || (remote.lock().hooks.len() == 1).then_some(())).await;
    remote.lock().failures.push_back(Failure::Permanent { message: "maintenance".to_owned() });
    in_time(&clock, "it is refused", || remote.lock().failures.is_empty().then_some(())).await;
    let refused = || hook(&host).subscription?.problem.filter(|problem| problem.code != "remote");
    until("it is known", refused).await;
    host.publish(BY_HAND).await;
    in_time(&clock, "nothing is left", || remote.lock().hooks.is_empty().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn the_secret_of_the_flow_verifies_and_a_rotation_reaches_the_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(1));
    let host = host(folder.path(), &clock, &remote).await;
    host.publish(FLOW).await;
    subscribed(&host).await;
    let send = async |number: u32, secret: &str| {
        let headers = vec![("x-token".to_owned(), secret.to_owned()), ("x-id".to_owned(), number.to_string())];
        host.engine.accept(&test(), &id("news"), Incoming { headers, ..Incoming::default() }).await
    };
    let of_connection = "the connection's own";
    assert!(matches!(send(1, of_connection).await, Ok(Accepted::Queued { .. })), "good for a day");
    clock.pass(DAY_MS);
    assert!(matches!(send(2, of_connection).await, Err(EngineError::Unauthentic(_))));
    let rotation = Rotation { overlap_ms: 60_000, secret: NewSecret::Made };
    let rotated = host.engine.rotate_hook(&test(), &id("news"), rotation, "ana").await.expect("rotated");
    until("the service is told", || (remote.lock().asked == ["subscribe", "renew"]).then_some(())).await;
    let secret = rotated.secret.expect("a secret");
    let secret = secrecy::ExposeSecret::expose_secret(&secret);
    assert!(matches!(send(3, secret).await, Ok(Accepted::Queued { .. })));
}

/// The host dies after every commit in turn, while it subscribes and while it
/// unsubscribes: one webhook, then none.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_point_leaves_one_webhook_and_then_none() {
    for commits in 0..6 {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, remote) = (ManualClock::at("2026-05-01T00:00:00Z"), Shared::new(1));
        let first = open(folder.path(), &clock, &remote);
        set_up(&first.engine).await;
        first.publish(FLOW).await;
        first.stop_after(commits);
        first.engine.run().expect("running");
        until("it has stopped or is done", || {
            (first.has_stopped() || state(&first) == Some(SubscriptionState::Subscribed)).then_some(())
        })
        .await;
        first.crash().await;

        let second = open(folder.path(), &clock, &remote);
        second.engine.run().expect("running");
        clock.pass(DAY_MS);
        subscribed(&second).await;
        assert_eq!(remote.lock().hooks.len(), 1, "after {commits} commits");
        second.publish(BY_HAND).await;
        second.stop_after(commits);
        until("it has stopped or is done", || (second.has_stopped() || remote.lock().hooks.is_empty()).then_some(()))
            .await;
        second.crash().await;

        let third = open(folder.path(), &clock, &remote);
        third.engine.run().expect("running");
        clock.pass(DAY_MS);
        until("nothing is left", || remote.lock().hooks.is_empty().then_some(())).await;
        third.crash().await;
    }
}
