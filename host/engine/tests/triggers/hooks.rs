//! Webhooks: handshakes, addresses that cannot be guessed, secrets that change.

use engine::{Accepted, EngineError, Incoming, NewConnection, NewSecret, Renewal, Rotation};
use model::{Credential, RunId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::world::{Host, ManualClock, id, test};

const HOUR_MS: u64 = 3_600_000;
const HOOK: &str = r#"
version: 1
id: hook
name: Hook
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: header, name: x-id }
    handshakes:
      - { kind: body, what: /type, is: url_verification, pointer: /challenge }
      - { kind: query, parameter: hub.challenge, secret: hub.verify_token }
      - { kind: ping, header: x-event, value: ping }
  connection: hook
steps:
  - { id: a, transform: 1 }
"#;

async fn host(folder: &std::path::Path) -> (Host, std::sync::Arc<ManualClock>) {
    let clock = ManualClock::at("2026-05-01T00:00:00Z");
    let host = Host::start(folder, &clock);
    host.engine.add_connection(connection(Credential::None, "correct horse"), "test").await.expect("connected");
    (host, clock)
}

fn connection(credential: Credential, webhook_secret: &str) -> NewConnection {
    NewConnection {
        id: "hook".parse().expect("a name"),
        environment: test(),
        plugin: "webhook".parse().expect("a name"),
        team: None,
        label: None,
        base_url: None,
        credential,
        webhook_secret: Some(SecretString::from(webhook_secret)),
        scopes: Vec::new(),
    }
}

fn delivery(number: u32, secret: &str) -> Incoming {
    let headers = vec![("x-token".to_owned(), secret.to_owned()), ("x-id".to_owned(), number.to_string())];
    Incoming { headers, query: String::new(), body: "{}".into() }
}

#[tokio::test(start_paused = true)]
async fn handshakes_are_answered_and_start_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (host, _) = host(folder.path()).await;
    host.publish(HOOK).await;
    let greet = |incoming: &Incoming| host.engine.greet(&test(), &id("hook"), None, incoming);
    let body = |secret: &str, body: &str| Incoming { body: body.to_owned().into(), ..delivery(1, secret) };
    let challenge = r#"{"type":"url_verification","challenge":"3eZbrw1aB"}"#;
    assert_eq!(greet(&body("correct horse", challenge)).expect("greeted").as_deref(), Some("3eZbrw1aB"));
    assert!(matches!(greet(&body("wrong", challenge)), Err(EngineError::Unauthentic(_))));
    assert_eq!(greet(&body("correct horse", "{}")).expect("a delivery"), None);
    let page = r#"{"type":"url_verification","challenge":"<script src=x>"}"#;
    assert!(matches!(greet(&body("correct horse", page)), Err(EngineError::Invalid(_))), "no word");

    let query = |query: &str| Incoming { query: query.to_owned(), ..Incoming::default() };
    let asked = "hub.mode=subscribe&hub.verify_token=correct+horse&hub.challenge=1158201444";
    assert_eq!(greet(&query(asked)).expect("greeted").as_deref(), Some("1158201444"));
    assert!(matches!(greet(&query(&asked.replace("horse", "hors"))), Err(EngineError::Unauthentic(_))));
    assert!(matches!(greet(&query("hub.challenge=1")), Err(EngineError::Unauthentic(_))));
    assert_eq!(greet(&query("hub.challenge=1&hub.challenge=2")).expect("nothing"), None);

    let mut ping = delivery(1, "correct horse");
    ping.headers.push(("x-event".to_owned(), "ping".to_owned()));
    assert_eq!(greet(&ping).expect("greeted").as_deref(), Some(""));
    ping.headers[0].1 = "wrong".to_owned();
    assert!(matches!(greet(&ping), Err(EngineError::Unauthentic(_))));
    assert_eq!(host.runs("hook").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn to_a_sender_only_its_own_flow_exists() {
    let folder = tempfile::tempdir().expect("a folder");
    let (host, _) = host(folder.path()).await;
    host.publish(HOOK).await;
    host.publish("version: 1\nid: hand\nname: Hand\ntrigger: { manual: {} }\nsteps:\n  - { id: a, transform: 1 }\n")
        .await;
    let schedule =
        "version: 1\nid: tick\nname: Tick\ntrigger: { schedule: { every: 1d } }\nsteps:\n  - { id: a, transform: 1 }\n";
    host.publish(schedule).await;
    for flow in ["hand", "tick", "none"] {
        let refused = host.engine.accept(&test(), &id(flow), delivery(1, "correct horse")).await;
        assert!(matches!(refused, Err(EngineError::NotFound(_))), "{flow}: {refused:?}");
        let greeted = host.engine.greet(&test(), &id(flow), None, &delivery(1, "correct horse"));
        assert!(matches!(greeted, Err(EngineError::NotFound(_))), "{flow}: {greeted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_cannot_be_guessed_and_changes_with_an_overlap() {
    let folder = tempfile::tempdir().expect("a folder");
    let (host, clock) = host(folder.path()).await;
    let view = host.publish(&HOOK.replace("  connection: hook\n", "  connection: hook\n  hook_token: true\n")).await;
    let token = |path: &str| path.rsplit('/').next().expect("a last part").to_owned();
    let first = match view.trigger {
        engine::TriggerView::Webhook(hook) => token(&hook.hook),
        other => panic!("{other:?}"),
    };
    assert_eq!(first.len(), 64);
    let send = async |number: u32, token: Option<&str>| {
        host.engine.accept_at(&test(), &id("hook"), token, delivery(number, "correct horse")).await
    };
    assert!(matches!(send(1, Some(&first)).await, Ok(Accepted::Queued { .. })));
    for wrong in [None, Some(""), Some("0"), Some(&first[..63])] {
        assert!(matches!(send(2, wrong).await, Err(EngineError::NotFound(_))), "{wrong:?}");
    }
    let rotation = Rotation { overlap_ms: HOUR_MS, secret: NewSecret::Kept };
    let rotated = host.engine.rotate_hook(&test(), &id("hook"), rotation, "ana").await.expect("rotated");
    let second = token(&rotated.hook);
    assert!(rotated.secret.is_none() && second != first);
    assert!(matches!(send(3, Some(&first)).await, Ok(Accepted::Queued { .. })));
    assert!(matches!(send(4, Some(&second)).await, Ok(Accepted::Queued { .. })));
    clock.pass(HOUR_MS);
    assert!(matches!(send(5, Some(&first)).await, Err(EngineError::NotFound(_))));
    // The address outlives the host.
    host.crash().await;
    let after = Host::start(folder.path(), &clock);
    let sent = after.engine.accept_at(&test(), &id("hook"), Some(&second), delivery(6, "correct horse")).await;
    assert!(matches!(sent, Ok(Accepted::Queued { .. })), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_changes_with_an_overlap() {
    let folder = tempfile::tempdir().expect("a folder");
    let (host, clock) = host(folder.path()).await;
    host.publish(HOOK).await;
    let send =
        async |number: u32, secret: &str| host.engine.accept(&test(), &id("hook"), delivery(number, secret)).await;
    let rotate = async |overlap_ms: u64, secret: NewSecret| {
        host.engine.rotate_hook(&test(), &id("hook"), Rotation { overlap_ms, secret }, "ana").await
    };
    let made = rotate(HOUR_MS, NewSecret::Made).await.expect("rotated").secret.expect("a secret");
    assert!(matches!(send(1, "correct horse").await, Ok(Accepted::Queued { .. })));
    assert!(matches!(send(2, made.expose_secret()).await, Ok(Accepted::Queued { .. })));
    clock.pass(HOUR_MS);
    assert!(matches!(send(3, "correct horse").await, Err(EngineError::Unauthentic(_))));
    let given = NewSecret::Given(SecretString::from("battery staple"));
    rotate(0, given).await.expect("rotated");
    assert!(matches!(send(4, made.expose_secret()).await, Err(EngineError::Unauthentic(_))), "no overlap");
    assert!(matches!(send(5, "battery staple").await, Ok(Accepted::Queued { .. })));

    assert!(matches!(rotate(31 * 24 * HOUR_MS, NewSecret::Made).await, Err(EngineError::Invalid(_))));
    assert!(matches!(rotate(0, NewSecret::Kept).await, Err(EngineError::Invalid(_))), "there is no address to change");
    let short = NewSecret::Given(SecretString::from("short"));
    assert!(matches!(rotate(0, short).await, Err(EngineError::Invalid(_))));
    // A connection that was taken back lets nothing in.
    host.engine.revoke_connection(&test(), &"hook".parse().expect("a name"), "ana").await.expect("revoked");
    assert!(matches!(send(6, "battery staple").await, Err(EngineError::Unauthentic(_))));
}

#[tokio::test(start_paused = true)]
async fn what_was_promised_to_stay_good_stays_so_over_the_next_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let (host, clock) = host(folder.path()).await;
    host.publish(HOOK).await;
    let made = async |host: &Host, overlap_ms: u64| {
        let rotation = Rotation { overlap_ms, secret: NewSecret::Made };
        let rotated = host.engine.rotate_hook(&test(), &id("hook"), rotation, "ana").await;
        rotated.map(|rotated| rotated.secret.expect("a secret").expose_secret().to_owned())
    };
    let is_good = async |host: &Host, number: u32, secret: &str| match host
        .engine
        .accept(&test(), &id("hook"), delivery(number, secret))
        .await
    {
        Ok(Accepted::Queued { .. }) => true,
        Err(EngineError::Unauthentic(_)) => false,
        other => panic!("{number}: {other:?}"),
    };
    let first = made(&host, 24 * HOUR_MS).await.expect("rotated");
    let second = made(&host, HOUR_MS).await.expect("rotated");
    for (number, secret) in [(1, "correct horse"), (2, first.as_str()), (3, second.as_str())] {
        assert!(is_good(&host, number, secret).await, "{number}");
    }
    host.crash().await;
    let host = Host::start(folder.path(), &clock);
    clock.pass(HOUR_MS);
    assert!(is_good(&host, 4, "correct horse").await, "for a day");
    assert!(!is_good(&host, 5, &first).await, "for an hour");

    made(&host, HOUR_MS).await.expect("rotated");
    let last = made(&host, HOUR_MS).await.expect("rotated");
    let refused = made(&host, HOUR_MS).await;
    let Err(EngineError::Conflict(problem)) = refused else { panic!("{refused:?}") };
    assert!(problem.cause.is_some(), "{problem}");
    assert!(problem.fix.is_some_and(|fix| fix.contains("2026-05-01T02:00:00.000Z") && fix.contains("--overlap 0s")));
    assert!(is_good(&host, 6, &last).await && is_good(&host, 7, &second).await, "nothing has changed");
    let only = made(&host, 0).await.expect("rotated");
    for (number, secret) in [(8, "correct horse"), (9, second.as_str()), (10, last.as_str())] {
        assert!(!is_good(&host, number, secret).await, "{number}");
    }
    assert!(is_good(&host, 11, &only).await);
}

fn check_mistake(refused: Result<(), EngineError>) {
    let Err(EngineError::Invalid(problems)) = refused else { panic!("{refused:?}") };
    let said = problems[0].to_string();
    assert!(problems[0].cause.is_some() && problems[0].fix.is_some(), "{said}");
    assert!(!said.contains("s3cr3t"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_used_is_the_callers_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let (host, _) = host(folder.path()).await;
    host.publish(HOOK).await;
    let add = async |credential: Credential, webhook_secret: &str| {
        host.engine.add_connection(connection(credential, webhook_secret), "test").await.map(drop)
    };
    let long = "s3cr3t-w0rd".repeat(1_000);
    for text in
        ["", "s3cr3t", "s3cr3t-w0rd\nanother", " s3cr3t-w0rd", "s3cr3t-w0rd ", "s3cr3t-w0rd\u{7}", long.as_str()]
    {
        let secret = || SecretString::from(text);
        check_mistake(add(Credential::Bearer { token: secret() }, "correct horse").await);
        check_mistake(add(Credential::None, text).await);
        let renewal = Renewal { webhook_secret: Some(secret()), ..Renewal::default() };
        let hook = "hook".parse().expect("a name");
        check_mistake(host.engine.update_connection(&test(), &hook, renewal).await.map(drop));
        let rotation = Rotation { overlap_ms: 0, secret: NewSecret::Given(secret()) };
        check_mistake(host.engine.rotate_hook(&test(), &id("hook"), rotation, "ana").await.map(drop));
    }
    let secret = || SecretString::from("s3cr3t-w0rd");
    let header = |name: &str, prefix: &str| Credential::Header {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        value: secret(),
    };
    for credential in [
        header("x y", ""),
        header("", ""),
        header("host", ""),
        header("x-key", "Token\n"),
        Credential::Basic { user: "a:b".to_owned(), password: secret() },
        Credential::Query { name: String::new(), value: secret() },
    ] {
        check_mistake(add(credential, "correct horse").await);
    }
    let sent = host.engine.accept(&test(), &id("hook"), delivery(1, "correct horse")).await;
    assert!(sent.is_ok(), "nothing has changed: {sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_times_the_same_delivery_at_once_is_one_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (host, _) = host(folder.path()).await;
    host.publish(HOOK).await;
    let sent = (0..1_000).map(|_| {
        let engine = host.engine.clone();
        tokio::spawn(async move { engine.accept(&test(), &id("hook"), delivery(7, "correct horse")).await })
    });
    let (mut queued, mut runs) = (0, std::collections::BTreeSet::<RunId>::new());
    for sender in sent.collect::<Vec<_>>() {
        match sender.await.expect("a sender").expect("accepted") {
            Accepted::Queued { run } => {
                queued += 1;
                runs.insert(run);
            }
            Accepted::Duplicate { run } => drop(runs.insert(run)),
            Accepted::Completed(result) => panic!("{result:?}"),
        }
    }
    assert_eq!((queued, runs.len(), host.runs("hook").len()), (1, 1, 1));
}
