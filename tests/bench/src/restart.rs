//! E6: starting again with a hundred thousand open runs.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::load::status_bytes;
use crate::report::{ROUNDS, Row, median, seconds};
use crate::start::{path, run, start, stop};
use crate::webhook::payload;
use crate::wire::rate;

const OPEN: u64 = 100_000;
const CONNECTIONS: usize = 64;

/// Every event waits for a day.
const WAITING: &str = r#"
version: 1
id: waiting
name: Wait for a day
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: bench-hook
steps:
  - id: day
    wait: { for: 1d }
"#;

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(target)?;
    let sluice = target.join("release/sluice");
    let data = folder.path().join("data");
    let secret = folder.path().join("secret");
    fs::write(&secret, crate::host::TOKEN)?;
    let flow = folder.path().join("waiting.yaml");
    fs::write(&flow, WAITING)?;
    run(
        &sluice,
        &data,
        &["connection", "add", "webhook", "--id", "bench-hook", "--webhook-secret-file", path(&secret)?],
    )?;
    run(&sluice, &data, &["flow", "apply", path(&flow)?])?;
    let (host, _) = start(&sluice, &data)?;
    stop(host)?;
    // A second start, so that the figure without runs is that of a host with its code cached.
    let (host, _) = start(&sluice, &data)?;
    let before = resident(host.id())?;
    rate(hooks(&data)?, "/hooks/production/waiting", CONNECTIONS, OPEN, &|number| payload(0, number))?;
    stop(host)?;
    let mut starts = Vec::new();
    let mut held = Vec::new();
    for _ in 0..ROUNDS {
        let (host, took) = start(&sluice, &data)?;
        starts.push(seconds(took) * 1_000.0);
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        held.push(resident(host.id())?.saturating_sub(before) as f64 / OPEN as f64);
        stop(host)?;
    }
    let (start_ms, bytes) = (median(&mut starts), median(&mut held));
    let row = |id: &str, what: &str, ours: f64, unit: &str, target: &str, met: bool| Row {
        id: id.to_owned(),
        what: what.to_owned(),
        ours,
        reference: None,
        unit: unit.to_owned(),
        ratio: None,
        target: target.to_owned(),
        met,
        rounds: ROUNDS,
    };
    let restarted = format!("start to the first answer with {OPEN} open runs");
    Ok(vec![
        row("E6", &restarted, start_ms, "ms", "under 2,000 ms", start_ms < 2_000.0),
        row("E6 memory", "each open run, after the start", bytes, "bytes", "at most 4,096 bytes", bytes <= 4_096.0),
    ])
}

/// Where the host takes deliveries.
fn hooks(data: &Path) -> Result<SocketAddr> {
    let places: serde_json::Value = serde_json::from_slice(&fs::read(data.join("listen.json"))?)?;
    Ok(places["hooks"].as_str().context("listen.json names the listener")?.parse()?)
}

fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status_bytes(&status).context("the process status has no VmRSS")
}
