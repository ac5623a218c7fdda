//! The claims of the demo, each shown live and settled from what was seen outside.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::github::{Delivery, sign};
use crate::receiver::{Received, Receiver, Reply};
use crate::report::Claims;
use crate::sender::{Answer, Client};
use crate::stage::{HOOK, Stage};
use crate::storm::Storm;
use crate::workspace::{short, spoken};

/// A run of the demo takes milliseconds.
const RUN_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Deliveries do what the flow says, once, and the record shows it.
pub(super) fn works(stage: &Stage, claims: &mut Claims) -> Result<()> {
    let bug = deliver(stage, &delivery(stage, "first", true))?;
    let shown = stage.must(&["run", "show", &bug])?.stdout;
    let seen = posts(stage, "first");
    claims.settle(
        "an issue labelled \"bug\" becomes one Slack message and one line in a file",
        expect(seen.len() == 1 && stage.notes().matches("[first]").count() == 1, || seen_text(stage, "first")),
    );
    let wanted = ["chat.postMessage", "allow", "200", "folder outbox", "grant"];
    claims.settle("the record of the run shows every outbound call with its rule", contains_all(&shown, &wanted));
    let other = deliver(stage, &delivery(stage, "other", false))?;
    claims.settle(
        "an issue with another label posts nothing",
        expect(posts(stage, "other").is_empty(), || format!("run {other}: {}", seen_text(stage, "other"))),
    );
    let done =
        stage.sluice(&["flow", "run", "status-to-issue", "--wait", "--input", r#"{"repository":"octocat/shop"}"#])?;
    let issues =
        stage.receiver().received().into_iter().filter(|seen| seen.path == "/github/repos/octocat/shop/issues");
    let issues: Vec<Received> = issues.collect();
    claims.settle(
        "a flow started by hand reads a page and opens a GitHub issue",
        expect(done.code == 0 && issues.len() == 1, || {
            format!("{} issues; exit code {}: {}", issues.len(), done.code, done.text())
        }),
    );
    claims.settle("the same delivery sent twice runs once", twice(stage, &delivery(stage, "first", true), &bug));
    Ok(())
}

/// What is not allowed does not happen, and says why.
pub(super) fn refuses(stage: &Stage, claims: &mut Claims) -> Result<()> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let canary = Receiver::start(any, None, |_, _| Reply::json(200, &Value::Null)).context("a canary cannot listen")?;
    let input = json!({ "url": format!("http://{}/anything", canary.address()) }).to_string();
    let done = stage.sluice(&["plugin", "call", "http", "get", "--input", &input])?;
    let denial = contains_all(&done.text(), &["fix:", &canary.address().to_string(), "[operations.get]"]);
    claims.settle(
        "a connector that asks for another host is denied, with the rule and the fix",
        match (done.code, canary.received().len()) {
            (3, 0) => denial.map(|_| "exit code 3, and not one byte arrived".to_owned()),
            (code, arrived) => Err(format!("exit code {code}, {arrived} requests arrived: {}", done.text())),
        },
    );
    let open = delivery(stage, "forged", true);
    let forged = Delivery { signature: sign("a guess", &open.body), ..open };
    let answer = post(stage, &forged)?;
    claims.settle(
        "a delivery with a forged signature is refused",
        expect(answer.status == 401 && posts(stage, "forged").is_empty(), || {
            format!("{} {}", answer.status, answer.text())
        }),
    );
    Ok(())
}

/// A killed host loses and doubles nothing.
pub(super) fn survives(stage: &mut Stage, claims: &mut Claims, storm: &Storm) {
    let outcome = stage.weather(storm);
    if let Ok(aftermath) = &outcome {
        println!("   the host was back {} after the kill", spoken(aftermath.down));
        println!("   {} deliveries had been kept although their answer was lost", aftermath.repeated);
    }
    let settled = outcome.map_err(|error| format!("{error:#}")).and_then(|aftermath| aftermath.verdict.outcome());
    claims.settle("every acknowledged delivery survives kill -9, and takes effect once", settled);
}

/// The token reached the service, and lies nowhere in the open.
pub(super) fn keeps_secrets(stage: &Stage, claims: &mut Claims) -> Result<()> {
    let token = stage.slack_token();
    let bearer = format!("Bearer {token}");
    let used = stage.receiver().count(|request| request.header("authorization") == Some(bearer.as_str()));
    let mut found = Vec::new();
    search(&stage.folder().join("data"), token.as_bytes(), &mut found)?;
    search(&stage.settings()?.log, token.as_bytes(), &mut found)?;
    claims.settle(
        "the Slack token reached Slack, and is in no file and no log of the host's",
        expect(used > 0 && found.is_empty(), || format!("used {used} times; found in: {}", found.join(", "))),
    );
    Ok(())
}

fn delivery(stage: &Stage, marker: &str, bug: bool) -> Delivery {
    stage.examples().delivery(0, marker, bug, stage.webhook_secret())
}

fn post(stage: &Stage, delivery: &Delivery) -> Result<Answer> {
    println!("> POST {HOOK}  X-GitHub-Delivery: {}", delivery.id);
    let answer = Client::new(stage.host()?.hooks()).send("POST", HOOK, &delivery.headers(), &delivery.body);
    let answer = answer.context("the delivery got no answer")?;
    println!("    {} {}", answer.status, answer.text());
    Ok(answer)
}

/// Sends a delivery that has to be accepted, and waits for its run to end.
fn deliver(stage: &Stage, delivery: &Delivery) -> Result<String> {
    let answer = post(stage, delivery)?;
    let view = answer.json();
    let (202, Some(run)) = (answer.status, view["run"].as_str()) else {
        bail!("the delivery was not accepted: {} {}", answer.status, answer.text());
    };
    wait_for(stage, run)?;
    Ok(run.to_owned())
}

/// Waits for a run's end.
pub(super) fn wait_for(stage: &Stage, run: &str) -> Result<()> {
    let mut api = stage.api()?;
    let started = Instant::now();
    loop {
        let view = api.get(&format!("/runs/{run}"))?;
        match view["status"].as_str() {
            Some("succeeded" | "failed" | "ignored") => return Ok(()),
            Some(_) if started.elapsed() < RUN_WITHIN => thread::sleep(LOOK_AGAIN_AFTER),
            _ => bail!("run {run} does not end: {view}"),
        }
    }
}

fn twice(stage: &Stage, delivery: &Delivery, first: &str) -> Result<String, String> {
    let answer = post(stage, delivery).map_err(|error| format!("{error:#}"))?;
    let view = answer.json();
    let same = answer.status == 200 && view["run"] == first && view["duplicate"] == Value::Bool(true);
    let once = posts(stage, &delivery.marker).len() == 1;
    expect(same && once, || format!("{} {}; {}", answer.status, answer.text(), seen_text(stage, &delivery.marker)))
}

/// The messages that carry this marker.
fn posts(stage: &Stage, marker: &str) -> Vec<Received> {
    let wanted = format!("[{marker}]");
    let received = stage.receiver().received().into_iter();
    received.filter(|seen| seen.path.ends_with("/chat.postMessage") && seen.body.contains(&wanted)).collect()
}

fn seen_text(stage: &Stage, marker: &str) -> String {
    let lines = stage.notes().matches(&format!("[{marker}]")).count();
    format!("{} messages, {lines} lines", posts(stage, marker).len())
}

pub(super) fn expect(held: bool, seen: impl FnOnce() -> String) -> Result<String, String> {
    if held { Ok(String::new()) } else { Err(seen()) }
}

fn contains_all(text: &str, wanted: &[&str]) -> Result<String, String> {
    let missing: Vec<&str> = wanted.iter().copied().filter(|word| !text.contains(word)).collect();
    if missing.is_empty() { Ok(String::new()) } else { Err(format!("{} is missing in:\n{text}", missing.join(", "))) }
}

/// The files in and below a path that hold these bytes.
fn search(path: &Path, wanted: &[u8], found: &mut Vec<String>) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| short(path))? {
            search(&entry?.path(), wanted, found)?;
        }
    } else if path.is_file() {
        // A file may go while the host works; what is gone holds nothing.
        let content = fs::read(path).unwrap_or_default();
        if content.windows(wanted.len()).any(|window| window == wanted) {
            found.push(short(path));
        }
    }
    Ok(())
}
