//! The starter jobs: their own tests, then all three over a `kill -9`, counted where
//! their effects arrive.
//!
//! When the host is killed, the synchronisation is in the middle of its loop, two
//! purchases wait for a person, and half of the issues have not been delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::claims::{expect, wait_for};
use crate::github::Delivery;
use crate::receiver::Received;
use crate::remote::CONTACTS;
use crate::report::Claims;
use crate::sender::{Accepted, Progress, deliver_all};
use crate::stage::Stage;

const JOBS: [&str; 3] = ["urgent-alert", "purchase-approval", "contact-sync"];
const ALERTS: &str = "/hooks/test/urgent-alert";
/// Issues that are delivered, every other one urgent; a half of them before the kill.
const ISSUES: usize = 20;
/// Contacts that one item of the loop after the other puts at once.
const AT_ONCE: usize = 4;
const WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(2);

/// Tests the jobs, applies them, and lets them live through a kill.
pub(super) fn work(stage: &mut Stage, claims: &mut Claims) -> Result<()> {
    for job in JOBS {
        let done = stage.sluice(&["flow", "test", &stage.flow(job)])?;
        claims.settle(&format!("{job}: the tests in its document pass"), expect(done.code == 0, || done.text()));
        stage.must(&["flow", "apply", &stage.flow(job)])?;
    }
    let issues: Vec<Delivery> = (0..ISSUES).map(|number| issue(stage, number)).collect();
    let (first, second) = issues.split_at(ISSUES / 2);
    let yes = request(stage, &json!({ "item": "A chair", "euros": 240, "requester": "Ada" }))?;
    let no = request(stage, &json!({ "item": "A yacht", "euros": 900_000, "requester": "Bob" }))?;
    let before = deliver(stage, first)?;
    wait_until("the synchronisation to be in its middle", || Ok(puts(stage).len() >= CONTACTS / 2))?;
    let hooks = stage.hooks()?;
    let progress = Progress::new();
    let sent = thread::scope(|scope| {
        let mut all = second.to_vec();
        // GitHub delivers again what it has no answer for; here everything, to be sure.
        all.extend_from_slice(first);
        stage.kill()?;
        let killed_in = puts(stage).len();
        let sending = scope.spawn(|| deliver_all(hooks, &[ALERTS.to_owned()], all, AT_ONCE, &progress));
        let back = stage.start();
        if back.is_err() {
            progress.give_up();
        }
        let sent = sending.join().map_err(|_| anyhow::anyhow!("the sender broke"))?;
        back.map(|()| (sent, killed_in))
    });
    let (sent, killed_in) = sent?;
    ensure!(sent.refused.is_empty(), "deliveries were refused: {}", sent.refused.join("; "));
    println!(
        "   killed after {killed_in} of {CONTACTS} contacts, {} of {ISSUES} issues, 2 open questions",
        first.len()
    );
    stage.must(&["approval", "decide", &format!("{yes}:ask"), "approve", "--comment", "a good chair"])?;
    stage.must(&["approval", "decide", &format!("{no}:ask"), "reject"])?;
    for run in before.iter().chain(&sent.accepted).map(|accepted| &accepted.run).chain([&yes, &no]) {
        wait_for(stage, run)?;
    }
    wait_until("the synchronisation's report", || Ok(!stage.written("contact-sync.jsonl").is_empty()))?;
    stage.must(&["flow", "pause", "contact-sync"])?;
    claims.settle("urgent-alert: each issue woke somebody or went on the list, once", alerts(stage, &issues));
    claims.settle("purchase-approval: one ordered, one declined, both told, once", purchases(stage));
    claims.settle("contact-sync: each contact was put under one key, and reported once", contacts(stage, killed_in));
    Ok(())
}

fn issue(stage: &Stage, number: usize) -> Delivery {
    let label = if is_urgent(number) { "urgent" } else { "documentation" };
    stage.examples().labelled(number, &format!("job-{number:02}"), label, stage.webhook_secret())
}

fn is_urgent(number: usize) -> bool {
    number.is_multiple_of(2)
}

fn deliver(stage: &Stage, deliveries: &[Delivery]) -> Result<Vec<Accepted>> {
    let sent = deliver_all(stage.hooks()?, &[ALERTS.to_owned()], deliveries.to_vec(), AT_ONCE, &Progress::new());
    ensure!(sent.refused.is_empty(), "deliveries were refused: {}", sent.refused.join("; "));
    sent.accepted.iter().try_for_each(|accepted| wait_for(stage, &accepted.run))?;
    Ok(sent.accepted)
}

/// Asks for a purchase; the run that waits for a decision.
fn request(stage: &Stage, form: &Value) -> Result<String> {
    let done = stage.must(&["flow", "run", "purchase-approval", "--input", &form.to_string(), "--json"])?;
    let started: Value = serde_json::from_str(&done.stdout).context("the command printed no JSON")?;
    let run = started["run"].as_str().context("the command named no run")?.to_owned();
    wait_until("the question to a person", || {
        let asked = stage.api()?.get("/approvals")?;
        let all = asked["approvals"].as_array().cloned().unwrap_or_default();
        Ok(all.iter().any(|approval| approval["run"] == run.as_str()))
    })?;
    Ok(run)
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !is_so()? {
        if started.elapsed() > WITHIN {
            bail!("waited in vain for {what}");
        }
        thread::sleep(LOOK_AGAIN_AFTER);
    }
    Ok(())
}

/// Everybody whom the directory was told of, request by request.
fn puts(stage: &Stage) -> Vec<Received> {
    let received = stage.receiver().received().into_iter();
    received.filter(|seen| seen.method == "PUT" && seen.path.starts_with("/directory/people/")).collect()
}

fn messages(stage: &Stage, channel: &str) -> Vec<String> {
    let posted = stage.receiver().received().into_iter().filter(|seen| seen.path.ends_with("/chat.postMessage"));
    let read = |seen: Received| serde_json::from_str::<Value>(&seen.body).ok();
    let of_channel = posted.filter_map(read).filter(|message| message["channel"] == channel);
    of_channel.filter_map(|message| message["text"].as_str().map(str::to_owned)).collect()
}

fn alerts(stage: &Stage, issues: &[Delivery]) -> Result<String, String> {
    let (woken, listed) = (messages(stage, "#on-call"), stage.written("morning.jsonl"));
    let count = |lines: &mut dyn Iterator<Item = &str>, marker: &str| {
        lines.filter(|line| line.contains(&format!("[{marker}]"))).count()
    };
    for (number, issue) in issues.iter().enumerate() {
        let seen =
            (count(&mut woken.iter().map(String::as_str), &issue.marker), count(&mut listed.lines(), &issue.marker));
        let wanted = if is_urgent(number) { (1, 0) } else { (0, 1) };
        if seen != wanted {
            return Err(format!("{}: {} messages and {} lines, expected {wanted:?}", issue.marker, seen.0, seen.1));
        }
    }
    Ok(format!(
        "{} messages, {} lines, every delivery of the first half sent twice",
        woken.len(),
        listed.lines().count()
    ))
}

fn purchases(stage: &Stage) -> Result<String, String> {
    let orders = stage.receiver().count(|seen| seen.path == "/github/repos/octocat/purchases/issues");
    let mut told = messages(stage, "#purchases");
    told.sort();
    let right =
        told.len() == 2 && told[0].contains("A chair for Ada: approved") && told[1] == "A yacht for Bob: declined";
    expect(orders == 1 && right, || format!("{orders} orders; told: {told:?}"))
}

fn contacts(stage: &Stage, killed_in: usize) -> Result<String, String> {
    let puts = puts(stage);
    let mut keys: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
    for put in &puts {
        keys.entry(&put.path).or_default().insert(put.idempotency_key());
    }
    let again = puts.len().saturating_sub(keys.len());
    let one_key = keys.values().all(|keys| keys.len() == 1 && !keys.contains(&None));
    let report = stage.written("contact-sync.jsonl");
    let lines: Vec<Value> = report.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let reported = matches!(lines.as_slice(), [line] if line["written"] == CONTACTS && line["failed"] == 0);
    let in_the_middle = killed_in < CONTACTS;
    let held = keys.len() == CONTACTS && one_key && again <= AT_ONCE && reported && in_the_middle;
    let seen = format!("{} contacts, {again} of them asked again with the same key", keys.len());
    if held { Ok(seen) } else { Err(format!("{seen}; killed after {killed_in}; report: {report:?}")) }
}
