//! Bit flips and truncations of everything that a stopped host has stored: noticed and
//! refused, or rebuilt; never a different answer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Part;
use crate::host::{Host, Settings, Started};
use crate::sender::Client;
use crate::stage::Stage;
use crate::storm::{Ends, Storm};
use crate::workspace::{copy_folder, empty_folder};

const DELIVERIES: usize = 24;
/// Every file of the store is damaged; of large ones, places all over it.
const SEED: u64 = 0x5eed;

/// What damage led to.
#[derive(Debug, Default)]
struct Seen {
    refused: usize,
    told: usize,
    same: usize,
    silent: Vec<String>,
}

/// Damages one file at a time.
pub(super) fn damage(part: &mut Part<'_>) -> Result<()> {
    let mut stage = Stage::set(&part.folder.join("stage"), false)?;
    let storm = Storm { name: "d".to_owned(), deliveries: DELIVERIES, connections: 4, kill_at: DELIVERIES };
    stage.ride_out(&storm, |_, _| Ok(Ends::default()))?;
    let settings = stage.host()?.settings().clone();
    let truth = answers(stage.host()?)?;
    stage.stop()?;
    let whole = part.folder.join("whole");
    empty_folder(&whole)?;
    copy_folder(&settings.data, &whole)?;
    let files = stored(&whole.join("store"))?;
    ensure!(!files.is_empty(), "the host stored nothing");
    let mut seen = Seen::default();
    let mut chance = SEED;
    let mut done = 0;
    for number in 0..part.scale.damages * 2 {
        if part.is_late() {
            break;
        }
        let file = &files[number / 2 % files.len()];
        let words = strike(&settings, &whole, file, number % 2 == 0, &mut chance)?;
        look(&settings, &truth, &words, &mut seen)?;
        done += 1;
    }
    println!(
        "   {done} damages to {} files: {} refused at start, {} told by an answer, {} without effect",
        files.len(),
        seen.refused,
        seen.told,
        seen.same
    );
    let outcome = if seen.silent.is_empty() { Ok("0 silent".to_owned()) } else { Err(seen.silent.join("; ")) };
    part.claims.settle("damaged files are noticed or rebuilt, never read", outcome);
    Ok(())
}

/// A fresh copy with one file damaged; what was done, in words.
fn strike(settings: &Settings, whole: &Path, file: &Path, flips: bool, chance: &mut u64) -> Result<String> {
    empty_folder(&settings.data)?;
    copy_folder(whole, &settings.data)?;
    let path = settings.data.join("store").join(file);
    let mut bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let place = usize::try_from(next(chance) % bytes.len().max(1) as u64)?;
    let words = if flips {
        let bit = next(chance) % 8;
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= 1 << bit;
        }
        format!("bit {bit} of byte {place} of {} of {}", bytes.len(), file.display())
    } else {
        let len = bytes.len();
        bytes.truncate(place);
        format!("{} cut from {len} to {place} bytes", file.display())
    };
    fs::write(&path, bytes)?;
    Ok(words)
}

/// Starts the host on it, and compares what it says.
fn look(settings: &Settings, truth: &[(String, Value)], words: &str, seen: &mut Seen) -> Result<()> {
    let mut host = match Host::try_start(settings.clone())? {
        Started::Ended(status, _) if status.code().is_some() => {
            seen.refused += 1;
            return Ok(());
        }
        Started::Ended(status, _) => {
            seen.silent.push(format!("{words}: the host died ({status})"));
            return Ok(());
        }
        Started::Answers(host) => host,
    };
    let (mut told, mut other) = (false, Vec::new());
    for (path, wanted) in truth {
        match ask(&host, path) {
            Ok((200, found)) if found == *wanted => {}
            Ok((200, found)) => other.push(format!("{path}: {}", difference(wanted, &found, String::new()))),
            Ok((404, _)) => other.push(format!("{path}: nothing is there")),
            Ok(_) | Err(_) => told = true,
        }
    }
    if host.ended()?.is_none() {
        host.kill()?;
    }
    if !other.is_empty() {
        seen.silent.push(format!("{words}: {} answers differ, such as {}", other.len(), other[0]));
    } else if told {
        seen.told += 1;
    } else {
        seen.same += 1;
    }
    Ok(())
}

/// What the host says of everything that it keeps.
fn answers(host: &Host) -> Result<Vec<(String, Value)>> {
    let mut paths = vec!["/runs?limit=500".to_owned(), "/flows".to_owned(), "/plugins".to_owned()];
    paths.extend(["/connections", "/dead-letters?limit=500"].map(str::to_owned));
    let (_, runs) = ask(host, &paths[0])?;
    let runs = runs["runs"].as_array().context("the answer lists no runs")?;
    ensure!(runs.len() >= DELIVERIES, "only {} runs are listed", runs.len());
    let ids = runs.iter().filter_map(|run| run["id"].as_str());
    paths.extend(ids.map(|id| format!("/runs/{id}")));
    let answer = |path: String| {
        let (status, answer) = ask(host, &path)?;
        ensure!(status == 200, "{path}: {status} {answer}");
        Ok((path, answer))
    };
    paths.into_iter().map(answer).collect()
}

fn ask(host: &Host, path: &str) -> Result<(u16, Value)> {
    let token = fs::read_to_string(host.settings().data.join("admin.token"))?;
    let token = format!("Bearer {}", token.trim());
    let path = format!("/api/v1{path}");
    let answer = Client::new(host.admin()).send("GET", &path, &[("authorization", &token)], b"")?;
    let mut kept = answer.json();
    forget_plans(&mut kept);
    Ok((answer.status, kept))
}

/// When the host sees to something next is not what it keeps: it changes by itself.
fn forget_plans(answer: &mut Value) {
    match answer {
        Value::Object(fields) => {
            fields.remove("next_ms");
            fields.values_mut().for_each(forget_plans);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_plans),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Where two documents differ first, and how.
fn difference(wanted: &Value, found: &Value, at: String) -> String {
    let (mine, theirs): (Vec<_>, Vec<_>) = match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let keys: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
            keys.into_iter().map(|key| ((key.clone(), wanted.get(key)), found.get(key))).unzip()
        }
        (Value::Array(wanted), Value::Array(found)) => {
            let most = wanted.len().max(found.len());
            (0..most).map(|index| ((index.to_string(), wanted.get(index)), found.get(index))).unzip()
        }
        (wanted, found) => return format!("{at} is {found}, not {wanted}"),
    };
    let differs = mine.into_iter().zip(theirs).find(|((_, mine), theirs)| mine != theirs);
    differs.map_or_else(String::new, |((key, mine), theirs)| match (mine, theirs) {
        (Some(mine), Some(theirs)) => difference(mine, theirs, format!("{at}/{key}")),
        (mine, theirs) => format!("{at}/{key} is {theirs:?}, not {mine:?}"),
    })
}

/// Every file below a folder, by path from there.
fn stored(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            match (path.is_dir(), fs::metadata(&path)?.len()) {
                (true, _) => folders.push(path),
                (false, 0) => {}
                (false, _) => found.push(path.strip_prefix(folder)?.to_owned()),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// SplitMix64: the same places every time.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
