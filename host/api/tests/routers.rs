//! The routers in process, over a real engine on a data folder of its own, without
//! connectors: what senders and administrators see.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;

use bench::{Bench, Reply};
use serde_json::json;

#[tokio::test]
async fn administration_wants_the_token() {
    let bench = Bench::new();
    for (token, status) in
        [(None, 401), (Some("Bearer wrong"), 401), (Some("Basic dG9rZW4="), 401), (Some("Bearer a token"), 200)]
    {
        let headers: Vec<(&str, &str)> = token.map(|token| ("authorization", token)).into_iter().collect();
        let reply = bench.admin_by_token("GET", "/api/v1/plugins", &headers, "").await;
        assert_eq!(reply.status, status, "{token:?}");
        let unknown = bench.admin_by_token("GET", "/api/v1/nothing", &headers, "").await;
        assert_eq!(unknown.status, if status == 200 { 404 } else { 401 }, "unknown places are behind the token too");
    }
    assert_eq!(bench.admin_by_token("GET", "/healthz", &[], "").await.status, 200);
    let ready = bench.admin_by_token("GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, ready.body), (200, json!({ "status": "ready" })), "no figures without the token");
}

#[tokio::test]
async fn nobody_unknown_is_vouched_for() {
    let bench = Bench::new();
    let reply = bench.admin_by_nobody("GET", "/api/v1/plugins").await;
    reply.is(401, "caller");
}

#[tokio::test]
async fn malformed_requests_are_told_apart() {
    let bench = Bench::new();
    let json = [("content-type", "application/json")];
    for (method, path, headers, body, status, code) in [
        ("POST", "/api/v1/flows/check", &json[..], "{", 400, "malformed-json"),
        ("POST", "/api/v1/flows/check", &json[..], "{\"document\":1}", 400, "wrong-document"),
        ("POST", "/api/v1/flows/check", &[][..], "{}", 415, "content-type"),
        ("POST", "/api/v1/flows/check", &[("content-type", "text/plain")][..], "{}", 415, "content-type"),
        ("GET", "/api/v1/runs/short", &[][..], "", 400, "path"),
        ("GET", "/api/v1/runs?limt=3", &[][..], "", 400, "query"),
        ("GET", "/api/v1/runs?flow=greet", &[][..], "", 400, "query"),
        ("GET", "/api/v1/runs/00000000000000000000000000000000", &[][..], "", 404, "unknown-run"),
        ("GET", "/api/v1/plugins/slack", &[][..], "", 404, "unknown-plugin"),
        ("PUT", "/api/v1/plugins", &[][..], "", 405, "method"),
        ("POST", "/api/v1/plugins", &[][..], "no component", 422, "component-malformed"),
        ("DELETE", "/api/v1/connections/test/none", &[][..], "", 404, "unknown-connection"),
    ] {
        bench.admin(method, path, headers, body).await.is(status, code);
    }
    let typo = bench.admin("POST", "/api/v1/flows/check", &json, "{\"document\":\"\",\"enviroment\":\"test\"}").await;
    assert_eq!(typo.body["problems"][0]["fix"], "did you mean environment?");
}

#[tokio::test]
async fn a_manual_flow_runs_from_start_to_end() {
    let bench = Bench::new();
    bench.apply(MANUAL).await.status_is(201);
    let typed = bench.start("greet", json!({ "name": 7 })).await;
    typed.is(422, "event");
    assert_eq!(typed.body["problems"][0]["what"], "name expects text, got 7");
    let started = bench.start("greet", json!({ "name": "Ada" })).await;
    started.status_is(202);
    let run = bench.ended(started.run()).await;
    assert_eq!(run["status"], "succeeded");
    assert_eq!(run["output"], "Hello Ada");
    assert_eq!(run["origin"], json!({ "kind": "manual", "by": "ada" }));
    let again =
        bench.admin_json(&format!("/api/v1/runs/{}/replay", started.run()), &json!({ "version": "newest" })).await;
    again.status_is(202);
    assert_eq!(bench.ended(again.run()).await["origin"]["kind"], "replay");
    let listed = bench.admin("GET", "/api/v1/runs?flow=greet&environment=test&status=succeeded", &[], "").await;
    assert_eq!(listed.body["runs"].as_array().map(Vec::len), Some(2));
    let page = bench.admin("GET", "/api/v1/runs?limit=1", &[], "").await;
    assert_eq!(page.body["next"], page.body["runs"][0]["id"], "a full page names the next");
    bench.start("gret", json!(null)).await.is(404, "unknown-flow");
}

#[tokio::test]
async fn what_a_sender_who_is_gone_began_is_ended() {
    let bench = Bench::new();
    bench.apply(MANUAL).await.status_is(201);
    bench.start_and_go("greet", &json!({ "name": "Ada" }));
    let run = bench.first_run().await;
    assert_eq!(bench.ended(run["id"].as_str().unwrap()).await["output"], "Hello Ada");
}

#[tokio::test]
async fn every_error_of_a_flow_is_listed() {
    let bench = Bench::new();
    let reply = bench
        .apply("version: 1\nid: x\nnam: X\ntrigger: { manual: {} }\nsteps: [{ id: a, usess: slack/post }]\n")
        .await;
    reply.status_is(422);
    let problems = reply.body["problems"].as_array().unwrap();
    assert!(problems.len() >= 2, "{problems:?}");
    let texts = reply.body.to_string();
    assert!(texts.contains("flow.yaml:3") && texts.contains("write name"), "{texts}");
}

#[tokio::test]
async fn deliveries_are_verified_kept_once_and_run() {
    let bench = Bench::new();
    bench.connect("hook").await.status_is(201);
    bench.apply(WEBHOOK).await.status_is(201);
    let body = "{\"id\":\"order-7\",\"total\":12}";
    let signature = bench::sign(body.as_bytes());
    let path = "/hooks/test/orders";

    bench.hook(path, &[], body).await.is(401, "signature");
    bench.hook(path, &[("x-signature", "00")], body).await.is(401, "signature");
    bench.hook(path, &[("x-signature", &signature), ("x-signature", &signature)], body).await.is(401, "signature");
    bench.hook("/hooks/test/none", &[("x-signature", &signature)], body).await.is(404, "unknown-flow");
    bench.hook_get(path).await.is(405, "method");
    bench.hook_get("/hooks/test/none").await.is(404, "unknown-flow");
    let near = bench.hook("/hooks/test/order", &[("x-signature", &signature)], body).await;
    near.is(404, "unknown-flow");
    assert!(!near.body.to_string().contains("orders"), "the outside learns no names: {}", near.body);
    assert!(bench.runs().await.is_empty(), "nothing refused is kept");

    let first = bench.hook(path, &[("x-signature", &signature)], body).await;
    first.status_is(202);
    let again = bench.hook("/hooks/orders", &[("x-signature", &signature)], body).await;
    again.status_is(200);
    assert_eq!((again.body["duplicate"].clone(), again.run()), (json!(true), first.run()));
    assert_eq!(bench.ended(first.run()).await["output"], json!({ "total": 12 }));
    assert_eq!(bench.runs().await.len(), 1);
}

#[tokio::test]
async fn bodies_that_cannot_be_events_are_refused() {
    let bench = Bench::new();
    bench.connect("hook").await.status_is(201);
    bench.apply(WEBHOOK).await.status_is(201);
    for (body, status, code) in [
        (&b"{"[..], 400, "body-not-json"),
        (&b"{\"id\":\"\xff\"}"[..], 400, "body-not-json"),
        (&b"{\"id\":7}"[..], 422, "event"),
    ] {
        let signature = bench::sign(body);
        bench.hook_bytes("/hooks/test/orders", &[("x-signature", &signature)], body.to_vec()).await.is(status, code);
    }
    let large = vec![b' '; api::DELIVERY_BYTES_MAX + 1];
    bench.hook_bytes("/hooks/test/orders", &[], large.clone()).await.is(413, "body-too-large");
    bench.hook_streamed("/hooks/test/orders", large).await.is(413, "body-too-large");
    bench.hook_announced("/hooks/test/orders", 50_000_000).await.is(413, "body-too-large");
    assert!(bench.runs().await.is_empty());
}

#[tokio::test]
async fn a_waiting_sender_gets_the_flows_own_answer() {
    let bench = Bench::new();
    bench.connect("hook").await.status_is(201);
    bench.apply(&WEBHOOK.replace("steps:", "  respond: { within: 10s }\nsteps:")).await.status_is(201);
    let body = "{\"id\":\"order-8\",\"total\":3}";
    let reply = bench.hook("/hooks/test/orders", &[("x-signature", &bench::sign(body.as_bytes()))], body).await;
    reply.status_is(200);
    assert_eq!(reply.body, json!({ "total": 3 }));
    assert_eq!(reply.run_header.as_deref().map(str::len), Some(32));

    bench.apply(&FAILING.replace("steps:", "  respond: { within: 10s }\nsteps:")).await.status_is(201);
    let failed = bench.hook("/hooks/test/failing", &[("x-signature", &bench::sign(body.as_bytes()))], body).await;
    failed.status_is(502);
    assert!(failed.body["run"].is_string());
    assert!(failed.body["problems"][0]["what"].as_str().unwrap().contains("nothing to do"), "{}", failed.body);
    let letters = bench.admin("GET", "/api/v1/dead-letters", &[], "").await;
    assert_eq!(letters.body["dead_letters"][0]["run"], failed.body["run"]);
}

#[tokio::test]
async fn a_host_that_drains_takes_nothing_new() {
    let bench = Bench::new();
    bench.apply(MANUAL).await.status_is(201);
    assert!(bench.drain().await);
    let refused = bench.start("greet", json!({ "name": "Ada" })).await;
    refused.is(503, "shutting-down");
    assert_eq!(refused.retry_after.as_deref(), Some("5"));
    let ready = bench.admin("GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, ready.body), (503, json!({ "status": "draining" })));
}

#[tokio::test]
async fn a_connection_takes_other_secrets() {
    let bench = Bench::new();
    bench.connect("hook").await.status_is(201);
    bench.apply(WEBHOOK).await.status_is(201);
    let path = "/api/v1/connections/test/hook/update";
    for (path, update, status, code) in [
        (path, json!({}), 422, "nothing-new"),
        (path, json!({ "secret": "a token of nobody" }), 422, "no-credential"),
        (path, json!({ "webhook_secret": "short" }), 422, "secret-too-short"),
        (path, json!({ "webhok_secret": "a longer one" }), 400, "wrong-document"),
        ("/api/v1/connections/test/hok/update", json!({ "webhook_secret": "a longer one" }), 404, "unknown-connection"),
        (
            "/api/v1/connections/prod/hook/update",
            json!({ "webhook_secret": "a longer one" }),
            404,
            "unknown-connection",
        ),
    ] {
        bench.admin_json(path, &update).await.is(status, code);
    }
    let sent = async |number: u32, secret: &str| {
        let body = format!("{{\"id\":\"order-{number}\",\"total\":3}}");
        bench.hook("/hooks/test/orders", &[("x-signature", &bench::sign_with(secret, body.as_bytes()))], &body).await
    };
    sent(1, bench::SECRET).await.status_is(202);
    let updated = bench.admin_json(path, &json!({ "webhook_secret": "another secret" })).await;
    updated.status_is(200);
    assert_eq!(updated.body["id"], "hook");
    assert!(!updated.body.to_string().contains("another secret"), "{}", updated.body);
    let again = bench.connect("hook").await;
    assert!(again.body["renewed_at_ms"].is_u64(), "it tells that there was one: {}", again.body);
    bench.admin_json(path, &json!({ "webhook_secret": "another secret" })).await.status_is(200);
    sent(2, bench::SECRET).await.is(401, "signature");
    sent(3, "another secret").await.status_is(202);
}

#[tokio::test]
async fn a_connector_that_is_not_there_is_asked_nothing() {
    let bench = Bench::new();
    let path = "/api/v1/plugins/slack/ask";
    for (question, status, code) in [
        (json!({ "environment": "test", "ask": { "choices": { "field": "channel" } } }), 404, "unknown-plugin"),
        (json!({ "environment": "test", "ask": { "fields": { "object": "card" } } }), 404, "unknown-plugin"),
        (
            json!({ "environment": "test", "ask": { "poll": { "trigger": "new-card", "from": "now" } } }),
            404,
            "unknown-plugin",
        ),
        (json!({ "environment": "test", "ask": { "guess": {} } }), 400, "wrong-document"),
    ] {
        bench.admin_json(path, &question).await.is(status, code);
    }
}

#[tokio::test]
async fn no_secret_comes_back() {
    let bench = Bench::new();
    let made: Reply = bench.connect("hook").await;
    let listed = bench.admin("GET", "/api/v1/connections", &[], "").await;
    for reply in [made, listed] {
        assert!(reply.body.to_string().contains("\"hook\""));
        assert!(!reply.body.to_string().contains(bench::SECRET), "{}", reply.body);
    }
}

const MANUAL: &str = "\
version: 1
id: greet
name: Greet
trigger:
  manual:
    input:
      type: object
      properties: { name: { type: string } }
      required: [name]
steps:
  - id: hello
    transform: \"Hello {{ trigger.name }}\"
output: \"{{ steps.hello }}\"
";

const WEBHOOK: &str = "\
version: 1
id: orders
name: Orders
trigger:
  webhook:
    verification: { scheme: hmac, header: x-signature, encoding: hex }
    delivery_key: { from: body, pointer: /id }
  connection: hook
  event:
    type: object
    properties: { id: { type: string }, total: { type: number } }
    required: [id]
steps:
  - id: sum
    transform: { total: \"{{ trigger.total }}\" }
output: \"{{ steps.sum }}\"
";

const FAILING: &str = "\
version: 1
id: failing
name: Failing
trigger:
  webhook:
    verification: { scheme: hmac, header: x-signature, encoding: hex }
    delivery_key: { from: body, pointer: /id }
  connection: hook
steps:
  - id: end
    stop: { outcome: failed, reason: nothing to do }
";
