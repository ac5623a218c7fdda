//! The README keeps its word: its connector, grant, ceiling and flow are taken from it
//! to the letter, built outside the repository, and run.

mod blocks;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use xtask::host::{Host, Settings};
use xtask::receiver::{Received, Receiver, Reply};
use xtask::sender::Client;
use xtask::workspace::target;

use crate::blocks::{README, block};

/// What the README's grant names.
const BOARD: ([u8; 4], u16) = ([127, 0, 0, 1], 9118);
const WEBHOOK_KEY: &[u8] = b"a webhook key of the tests alone";
/// A cold build of a connector on a busy machine stays far below.
const RUN_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn the_connector_is_short() -> Result<()> {
    let connector = block("rust", "connector!")?;
    let lines = connector.lines().count();
    ensure!(lines < 40, "the README promises a connector under 40 lines, it has {lines}");
    Ok(())
}

#[test]
fn the_commands_exist() -> Result<()> {
    for command in ["cargo xtask demo", "cargo xtask test", "sluice plugin new board", "sluice plugin test board"] {
        ensure!(README.contains(command), "the README does not name {command}");
    }
    Ok(())
}

#[test]
fn connector_grant_and_flow_build_and_run_outside_the_repository() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let settings = Settings { environment: "production".to_owned(), ..Settings::in_folder(folder) };
    let wasm = build(&settings, folder)?;
    fs::write(folder.join("board.toml"), block("toml", "plugin = \"board\"")?)?;
    fs::write(folder.join("copy-urgent.yaml"), block("yaml", "id: copy-urgent")?)?;
    let ceiling = folder.join("ceiling.toml");
    fs::write(&ceiling, block("toml", "allowed =")?)?;
    fs::write(folder.join("board.token"), "a token of the tests alone")?;
    fs::write(folder.join("board.webhook"), format!("whsec_{}", STANDARD.encode(WEBHOOK_KEY)))?;

    let board = Receiver::start(SocketAddr::from(BOARD), None, answer)?;
    let host = Host::start(Settings { ceiling: Some(ceiling), ..settings })?;
    command(&host, folder, &["plugin", "install", &wasm])?;
    for line in commands()? {
        let words: Vec<&str> = line.split_whitespace().collect();
        command(&host, folder, &words)?;
    }
    command(&host, folder, &["flow", "test", "copy-urgent.yaml"])?;
    command(&host, folder, &["flow", "apply", "copy-urgent.yaml"])?;

    let urgent = deliver(&host, "1", "urgent: call Ada")?;
    let other = deliver(&host, "2", "water the plants")?;
    ensure!(ended(&host, &urgent)? == "succeeded", "the urgent card's run did not succeed");
    ensure!(ended(&host, &other)? == "succeeded", "the other card's run did not succeed");
    let received = board.received();
    ensure!(received.len() == 1, "the board was asked {} times", received.len());
    let card: Value = serde_json::from_str(&received[0].body)?;
    ensure!(card == json!({ "title": "Copy: urgent: call Ada" }), "the board got {card}");
    ensure!(
        received[0].header("authorization") == Some("Bearer a token of the tests alone"),
        "the host adds the token"
    );
    ensure!(received[0].idempotency_key().is_some(), "the call carries its idempotency key");
    let shown = command(&host, folder, &["run", "show", &urgent])?;
    ensure!(shown.contains("http://127.0.0.1:9118"), "the run names the call:\n{shown}");
    host.stop()?;
    Ok(())
}

/// The board's API.
fn answer(request: &Received, _number: usize) -> Reply {
    let card: Value = serde_json::from_str(&request.body).unwrap_or_default();
    Reply::json(201, &json!({ "id": "8", "title": card["title"] }))
}

/// Makes the folder as the README says, puts its connector in, tests and builds it.
fn build(settings: &Settings, folder: &Path) -> Result<String> {
    let made = folder.join("board");
    let path = made.to_str().context("a folder with a plain name")?;
    let done = settings.run(&["plugin", "new", "board", "--path", path])?;
    ensure!(done.code == 0, "plugin new: {}", done.text());
    fs::write(made.join("src/lib.rs"), block("rust", "connector!")?)?;
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--target", "wasm32-wasip2"])
        .current_dir(&made)
        .env("CARGO_TARGET_DIR", target().join("readme"))
        .env_remove("RUSTFLAGS")
        .output()?;
    ensure!(
        build.status.success(),
        "the README's connector does not build:\n{}",
        String::from_utf8_lossy(&build.stderr)
    );
    Ok(target().join("readme/wasm32-wasip2/release/board.wasm").display().to_string())
}

/// The README's commands between install and flow, without their `sluice`.
fn commands() -> Result<Vec<String>> {
    let block = block("sh", "sluice connection add board")?.replace("\\\n", " ");
    let lines = block.lines().filter_map(|line| line.strip_prefix("sluice ")).map(str::to_owned);
    Ok(lines.filter(|line| !line.starts_with("plugin install")).collect())
}

fn command(host: &Host, folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = host.settings().command(arguments).current_dir(folder).output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "sluice {}:\n{text}\n{}", arguments.join(" "), host.log_tail());
    Ok(text)
}

/// Sends a card as the board would, signed by the scheme of Standard Webhooks.
#[expect(clippy::disallowed_methods, reason = "the sender's own clock, outside the host")]
fn deliver(host: &Host, id: &str, title: &str) -> Result<String> {
    let body = json!({ "id": id, "title": title }).to_string();
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_KEY)?;
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let headers = [("webhook-id", id), ("webhook-timestamp", &*time), ("webhook-signature", &*signature)];
    let answer = Client::new(host.hooks()).send("POST", "/hooks/production/copy-urgent", &headers, body.as_bytes())?;
    ensure!(answer.status == 202, "the delivery was answered {}: {}", answer.status, answer.text());
    answer.json()["run"].as_str().map(str::to_owned).context("a 202 names the run")
}

fn ended(host: &Host, run: &str) -> Result<String> {
    let begun = Instant::now();
    loop {
        let shown = host.settings().run(&["--json", "run", "show", run])?;
        let shown: Value = serde_json::from_str(&shown.stdout).with_context(|| shown.text())?;
        let status = shown["status"].as_str().unwrap_or_default().to_owned();
        if !matches!(&*status, "received" | "running") {
            return Ok(status);
        }
        ensure!(begun.elapsed() < RUN_WITHIN, "the run is still {status}:\n{}", host.log_tail());
    }
}
