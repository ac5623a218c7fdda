//! Measures the host against a reference in the same run, and prints ratios.
//!
//! Machines are shared and noisy: ours and the reference alternate for at least five
//! rounds, the median of the rounds' ratios counts, and nothing here fails a build.

mod background;
mod calls;
mod decide;
mod host;
mod hostile;
mod load;
mod outbound;
mod plugin;
mod report;
mod restart;
mod scale;
mod start;
mod webhook;
mod wire;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::report::Row;

/// Names for several parts at once.
const GROUPS: &[(&str, &[&str])] = &[
    ("sandbox", &["calls", "outbound", "load", "decide", "hostile"]),
    ("engine", &["webhook", "restart", "start", "background", "scale"]),
];

/// Only measured when it is named, itself or by its group.
const LARGE: &str = "scale";

/// The parts, in the order they run: what takes longest comes last.
const PARTS: &[(&str, &str)] = &[
    ("calls", "S1, S2: a plugin call against a raw loop, and what a second processor adds"),
    ("outbound", "S3: a request out of a fresh guest against reqwest alone"),
    ("load", "S4: loading 1,000 plugins against reading and hashing their files"),
    ("decide", "S5: one policy decision"),
    ("webhook", "E1, E2: webhooks against plain axum with the same group commit"),
    ("restart", "E6: start with a hundred thousand open runs"),
    ("start", "E7: cold start, idle memory, idle processor"),
    ("hostile", "S6: a healthy flow beside each hostile connector, against alone (takes minutes)"),
    ("background", "E3, E4: webhooks acknowledged at once, against plain axum with a task queue"),
    ("scale", "E5: a run beside ten million past runs and a hundred thousand flows (takes minutes and 10 GiB)"),
];

/// The binary's, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).flat_map(|name| members(&name)).collect();
    if let Some(unknown) = wanted.iter().find(|part| !PARTS.iter().any(|(name, _)| name == part)) {
        let known: Vec<String> = PARTS.iter().map(|(name, what)| format!("  {name:<10} {what}")).collect();
        bail!("there is no part {unknown}; the parts are\n{}\nand `sandbox` or `engine` for several", known.join("\n"));
    }
    let target = PathBuf::from(std::env::var_os("SLUICE_TARGET").context("run this by `cargo xtask bench`")?);
    // The references' clients need it; only the first call can install it, which this is.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    report::print_head();
    let mut failed = Vec::new();
    for (part, what) in PARTS {
        let is_wanted = if wanted.is_empty() { *part != LARGE } else { wanted.iter().any(|name| name == part) };
        if is_wanted {
            eprintln!("{what} ...");
            // One part that cannot be measured takes no other's figures with it.
            if let Err(error) = measured(part, &target) {
                eprintln!("{part} could not be measured: {error:#}");
                failed.push(*part);
            }
        }
    }
    if wanted.is_empty() {
        eprintln!("{LARGE} was left out, since it takes minutes and 10 GiB: cargo xtask bench {LARGE}");
    }
    ensure!(failed.is_empty(), "{} of the parts could not be measured: {}", failed.len(), failed.join(", "));
    Ok(())
}

/// Measures one part, prints its rows and keeps them.
fn measured(part: &str, target: &Path) -> Result<()> {
    let rows = measure(part, target)?;
    report::print(&rows);
    report::write(target, part, &rows)
}

/// The parts that a name stands for.
fn members(name: &str) -> Vec<String> {
    let group = GROUPS.iter().find(|(group, _)| *group == name);
    group.map_or_else(|| vec![name.to_owned()], |(_, parts)| parts.iter().map(|part| (*part).to_owned()).collect())
}

fn measure(part: &str, target: &Path) -> Result<Vec<Row>> {
    match part {
        "calls" => calls::measure(target),
        "outbound" => outbound::measure(target),
        "hostile" => hostile::measure(target),
        "load" => load::measure(target),
        "decide" => decide::measure(target),
        "webhook" => webhook::measure(target),
        "background" => background::measure(target),
        "scale" => scale::measure(target),
        "restart" => restart::measure(target),
        _ => start::measure(target),
    }
}
