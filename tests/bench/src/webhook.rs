//! E1 and E2: webhooks through the whole host, against plain axum that does the same
//! by hand with the same group commit.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use store::{Batch, JournalStore, Store as _};
use tokio::net::TcpListener;

use crate::host;
use crate::report::{ROUNDS, Row, alternate, host_workers, runtime};
use crate::wire::rate;

const CONNECTIONS: [usize; 2] = [16, 64];
/// Requests in one round of one side.
pub(crate) const MAPPED: u64 = 8_000;
const POSTED: u64 = 3_000;

pub(crate) const MAP: &str = r#"
version: 1
id: map
name: Map and respond
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: bench-hook
  respond: { within: 10s }
steps:
  - id: shape
    transform: { title: "{{ trigger.issue.title }}", n: "{{ trigger.n }}" }
output: { mapped: "{{ steps.shape }}" }
"#;

const POST: &str = r#"
version: 1
id: post
name: Map, post and respond
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: bench-hook
  respond: { within: 10s }
steps:
  - id: send
    uses: http/send
    connection: receiver
    input: { method: POST, url: /take, json: { title: "{{ trigger.issue.title }}", n: "{{ trigger.n }}" } }
output: { status: "{{ steps.send.status }}" }
"#;

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let runtime = runtime(host_workers())?;
    let folder = tempfile::tempdir_in(target)?;
    let places = runtime.block_on(serve(folder.path(), target))?;
    let mut rows = Vec::new();
    let mut salt = 0;
    for connections in CONNECTIONS {
        let map = ("/hooks/production/map", "/map", MAPPED, 0.5);
        let post = ("/hooks/production/post", "/post", POSTED, 0.35);
        for (id, what, (ours, reference, count, at_least)) in [
            ("E1", "webhook, map, respond; durable", map),
            ("E2", "webhook, map, POST through a sandboxed connector, respond", post),
        ] {
            let mut next = || {
                salt += 1;
                salt
            };
            let first = next();
            let mut turn = first;
            let rounds = alternate(
                || {
                    turn += 1;
                    rate(places.host, ours, connections, count, &|number| payload(turn, number))
                },
                || rate(places.reference, reference, connections, count, &|number| payload(first, number)),
            )?;
            salt = turn + 1;
            rows.push(Row {
                id: format!("{id} at {connections}"),
                what: format!("{what}; against plain axum with the same group commit, {connections} connections"),
                ours: rounds.ours,
                reference: Some(rounds.reference),
                unit: "/s".to_owned(),
                ratio: Some(rounds.ratio),
                target: format!("at least {at_least} x"),
                met: rounds.ratio >= at_least,
                rounds: ROUNDS,
            });
        }
    }
    runtime.shutdown_background();
    Ok(rows)
}

/// About 1 KiB of an issue, with an id of its own.
pub(crate) fn payload(turn: u64, number: u64) -> String {
    let body = "The door does not close any more since the last update. ".repeat(14);
    json!({
        "id": format!("{turn}-{number}"), "n": number, "action": "labeled",
        "issue": { "title": "The door is open", "number": number, "body": body, "labels": ["bug", "door"] }
    })
    .to_string()
}

struct Places {
    host: SocketAddr,
    reference: SocketAddr,
}

async fn serve(folder: &Path, target: &Path) -> Result<Places> {
    let receiver = listen(Router::new().route("/take", post(take))).await?;
    let store = Arc::new(JournalStore::open(&folder.join("store"), store::Options::default())?);
    let engine = host::engine(folder, store)?;
    engine.run()?;
    host::install(&engine, &target.join("plugins/http.wasm"), &host::http_grant(receiver)).await?;
    host::connect(&engine, engine::BUILT_IN_WEBHOOK, "bench-hook", None).await?;
    host::connect(&engine, "http", "receiver", Some(format!("http://{receiver}"))).await?;
    host::publish(&engine, MAP).await?;
    host::publish(&engine, POST).await?;
    let host = listen(api::hooks_router(engine, host::environment())).await?;

    let plain = Plain {
        store: Arc::new(JournalStore::open(&folder.join("plain"), store::Options::default())?),
        client: reqwest::Client::builder().no_proxy().build()?,
        receiver,
    };
    let router = Router::new().route("/map", post(plain_map)).route("/post", post(plain_post)).with_state(plain);
    Ok(Places { host, reference: listen(router).await? })
}

pub(crate) async fn listen(router: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// What a service answers.
async fn take(body: Bytes) -> impl IntoResponse {
    Json(json!({ "ok": true, "bytes": body.len() }))
}

#[derive(Clone)]
struct Plain {
    store: Arc<JournalStore>,
    client: reqwest::Client,
    receiver: SocketAddr,
}

impl Plain {
    /// Keeps one document under its id, durable when it returns.
    async fn keep(&self, kind: &str, id: &str, document: &[u8]) -> Result<(), StatusCode> {
        let mut batch = Batch::new();
        batch.put(format!("{kind}/{id}"), document);
        self.store.commit(batch).await.map(drop).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
    }
}

async fn plain_map(State(plain): State<Plain>, body: Bytes) -> Result<Json<Value>, StatusCode> {
    let event: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mapped = json!({ "mapped": { "title": event["issue"]["title"], "n": event["n"] } });
    plain.keep("event", event["id"].as_str().unwrap_or_default(), &body).await?;
    Ok(Json(mapped))
}

async fn plain_post(State(plain): State<Plain>, body: Bytes) -> Result<Json<Value>, StatusCode> {
    let event: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let id = event["id"].as_str().unwrap_or_default();
    let mapped = json!({ "title": event["issue"]["title"], "n": event["n"] });
    plain.keep("event", id, &body).await?;
    let request = plain
        .client
        .post(format!("http://{}/take", plain.receiver))
        .header("content-type", "application/json")
        .body(mapped.to_string());
    let answer = request.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let status = answer.status().as_u16();
    let answer = answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    plain.keep("answer", id, &answer).await?;
    Ok(Json(json!({ "status": status })))
}
