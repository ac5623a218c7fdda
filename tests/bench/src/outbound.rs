//! S3: a request out of a fresh guest, decided, credentialed and recorded, against
//! reqwest alone with the same settings.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use model::Credential;
use serde_json::json;

use crate::plugin::{Approved, Ready};
use crate::report::{ROUNDS, Row, alternate, rate, runtime};
use crate::webhook::listen;

const CONCURRENCY: [u32; 2] = [16, 64];
/// Requests in one round of one side.
const REQUESTS: u32 = 6_400;
/// What both show to the service.
const TOKEN: &str = "bench-credential-0123456789";

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let (ours, theirs) = (runtime(2)?, runtime(1)?);
    let service = theirs.block_on(listen(Router::new().route("/take", post(take))))?;
    let approved = Approved {
        grant: format!(
            "addresses = [\"{service}\"]\n[operations.send]\ndestinations = [\"POST http://{service}/**\"]\n\
             [limits]\nrequests_per_minute = 100000000\nconcurrency = 64\n"
        ),
        operation: "send",
        base_url: Some(format!("http://{service}")),
        credential: Credential::Bearer { token: TOKEN.into() },
    };
    let ready = Arc::new(ours.block_on(Ready::new(folder.path(), &target.join("plugins/http.wasm"), approved))?);
    let client = client()?;
    let body = json!({ "title": "The door is open", "text": "x".repeat(950) });
    let input: Arc<str> = json!({ "method": "POST", "url": "/take", "json": body }).to_string().into();
    let body: Arc<str> = body.to_string().into();
    let mut rows = Vec::new();
    for tasks in CONCURRENCY {
        let rounds = alternate(
            || {
                let asked = (ready.clone(), input.clone());
                rate(&ours, tasks, REQUESTS / tasks, move || sandboxed(asked.clone()))
            },
            || {
                let asked = (client.clone(), service, body.clone());
                rate(&ours, tasks, REQUESTS / tasks, move || alone(asked.clone()))
            },
        )?;
        rows.push(Row {
            id: format!("S3 at {tasks}"),
            what: format!("a POST of 1 KiB out of a fresh guest, against reqwest alone, {tasks} at once"),
            ours: rounds.ours,
            reference: Some(rounds.reference),
            unit: "/s".to_owned(),
            ratio: Some(rounds.ratio),
            target: "at least 0.5 x".to_owned(),
            met: rounds.ratio >= 0.5,
            rounds: ROUNDS,
        });
    }
    theirs.shutdown_background();
    Ok(rows)
}

/// Answers whoever shows the credential.
async fn take(headers: HeaderMap, body: String) -> (StatusCode, String) {
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
    let status =
        if shown == Some("Bearer bench-credential-0123456789") { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    (status, json!({ "ok": status.is_success(), "bytes": body.len() }).to_string())
}

/// As the host's own clients are.
fn client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(30));
    client.build().context("a client")
}

async fn sandboxed((ready, input): (Arc<Ready>, Arc<str>)) -> Result<()> {
    let answer = ready.call(&input).await?;
    ensure!(answer.contains("\"status\":200"), "the connector answered {answer}");
    Ok(())
}

async fn alone((client, service, body): (reqwest::Client, SocketAddr, Arc<str>)) -> Result<()> {
    let request = client.post(format!("http://{service}/take")).bearer_auth(TOKEN);
    let answer = request.header("content-type", "application/json").body(body.to_string()).send().await?;
    ensure!(answer.status().is_success(), "the service answered {}", answer.status());
    answer.bytes().await?;
    Ok(())
}
