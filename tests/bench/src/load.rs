//! S4: loading 1,000 distinct compiled plugins, authenticated, against reading and
//! hashing the same files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use model::Digest;
use sandbox::{Options, Sandbox};
use sha2::{Digest as _, Sha256};

use crate::calls::echo;
use crate::report::{ROUNDS, Row, alternate, timed};

const PLUGINS: usize = 1_000;

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let wasm = fs::read(echo(target)).with_context(|| format!("{} is not built", echo(target).display()))?;
    let digests = compile(target, &wasm)?;
    let files = files(&cache(target))?;
    anyhow::ensure!(files.len() >= PLUGINS, "the code cache holds {} files", files.len());
    let mut memory = None;
    let rounds = alternate(
        || {
            let sandbox = open(target)?;
            let before = resident_bytes()?;
            let (plugins, seconds) = timed(|| load(&sandbox, &digests))?;
            let each = resident_bytes()?.saturating_sub(before) / PLUGINS as u64;
            memory.get_or_insert(each);
            drop(plugins);
            Ok(seconds * 1_000.0)
        },
        || timed(|| hash(&files)).map(|(_, seconds)| seconds * 1_000.0),
    )?;
    let each = memory.unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let each_mib = each as f64 / f64::from(1 << 20);
    let row = |id: &str, what: String, ours, reference, unit: &str, ratio, target: &str, met| Row {
        id: id.to_owned(),
        what,
        ours,
        reference,
        unit: unit.to_owned(),
        ratio,
        target: target.to_owned(),
        met,
        rounds: ROUNDS,
    };
    let loaded = format!("loading {PLUGINS} compiled plugins, against reading and hashing their files");
    let held = "memory of each loaded plugin before its first call (first round)".to_owned();
    let ratio = rounds.ratio;
    Ok(vec![
        row("S4", loaded, rounds.ours, Some(rounds.reference), "ms", Some(ratio), "at most 2 x", ratio <= 2.0),
        row("S4 memory", held, each_mib, None, "MiB", None, "under 0.5 MiB", each_mib < 0.5),
    ])
}

fn cache(target: &Path) -> PathBuf {
    target.join("bench/load-cache")
}

fn open(target: &Path) -> Result<Sandbox> {
    Ok(Sandbox::open(Options::new(cache(target), [9; 32]))?)
}

/// Fills the code cache, kept between benchmarks: the compiler takes minutes.
fn compile(target: &Path, wasm: &[u8]) -> Result<Vec<Digest>> {
    let sandbox = open(target)?;
    let mut digests = Vec::with_capacity(PLUGINS);
    for number in 0..PLUGINS {
        if number % 100 == 0 {
            eprintln!("  compiled {number} of {PLUGINS}");
        }
        let bytes = distinct(wasm, number);
        let plugin = sandbox.load(&bytes).map_err(|error| anyhow!("{error}"))?;
        digests.push(plugin.digest());
    }
    Ok(digests)
}

/// The component with a custom section that makes its digest its own.
fn distinct(wasm: &[u8], number: usize) -> Vec<u8> {
    let name = format!("bench-{number:04}");
    let mut bytes = wasm.to_vec();
    // A custom section: id 0, size, length of its name, its name; both fit in one byte.
    bytes.extend_from_slice(&[0, 11, 10]);
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

fn load(sandbox: &Sandbox, digests: &[Digest]) -> Result<Vec<sandbox::Plugin>> {
    let missing = || Err(std::io::Error::other("the code is not in the cache"));
    let load = |digest: &Digest| sandbox.load_cached(digest, missing).map_err(|error| anyhow!("{error}"));
    digests.iter().map(load).collect()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

fn hash(files: &[PathBuf]) -> Result<u8> {
    let mut all = 0;
    for file in files.iter().take(PLUGINS) {
        all ^= Sha256::digest(fs::read(file)?)[0];
    }
    Ok(all)
}

/// What this process holds in memory.
pub(crate) fn resident_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    status_bytes(&status).context("/proc/self/status has no VmRSS")
}

/// `VmRSS` of a `/proc/<pid>/status`.
pub(crate) fn status_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
