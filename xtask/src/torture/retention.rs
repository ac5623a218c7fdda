//! Simulated load with runs that are kept for a minute: what the folder takes beside
//! what lives in it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::Part;
use super::simulator::binary;

/// The folder may take so many times what lives in it.
const RATIO_MAX: f64 = 3.0;
/// Where files need no disk: sizes are asked for here, and the syncs would take
/// minutes.
const IN_MEMORY: &str = "/dev/shm";

/// As the simulator prints it.
#[derive(Deserialize)]
struct Load {
    runs: u64,
    end: Space,
    worst: Space,
    restart_ms: u64,
    open: u64,
}

/// Bytes.
#[derive(Deserialize)]
struct Space {
    rows: u64,
    history: u64,
    segments: u64,
    checkpoints: u64,
    blobs: u64,
    sled: u64,
}

/// Lives through the load and measures its folder.
pub(super) fn measure(part: &mut Part<'_>) -> Result<()> {
    let folder = match Path::new(IN_MEMORY) {
        memory if memory.is_dir() => memory.join(format!("sluicegate-retention-{}", std::process::id())),
        _ => part.folder.clone(),
    };
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let (minutes, rate) = part.scale.load;
    let mut command = Command::new(binary());
    command.args(["load", "--minutes", &minutes.to_string(), "--rate", &rate.to_string(), "--folder"]);
    let output = command.arg(&folder).output();
    std::fs::remove_dir_all(&folder)?;
    let output = output.context("the simulator cannot be started: build it first")?;
    ensure!(output.status.success(), "the load broke off: {}", String::from_utf8_lossy(&output.stderr));
    let load: Load = serde_json::from_slice(&output.stdout).context("the simulator printed something else")?;
    println!("   {} runs in {minutes} simulated minutes", load.runs);
    println!("   at its end:   {}", load.end);
    println!("   at its worst: {}", load.worst);
    println!("   restart in {} ms with {} open runs", load.restart_ms, load.open);
    let ratio = load.worst.ratio();
    let said = format!("{ratio:.2} times at most, {:.2} at the end", load.end.ratio());
    let outcome = if ratio <= RATIO_MAX { Ok(said) } else { Err(said) };
    part.claims.settle("the data folder takes at most 3 times what lives in it", outcome);
    Ok(())
}

impl Space {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    fn ratio(&self) -> f64 {
        let folder = self.segments + self.checkpoints + self.blobs + self.sled;
        folder as f64 / (self.rows + self.history).max(1) as f64
    }
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kib = |bytes: u64| bytes / 1024;
        write!(
            f,
            "{:.2} x {} KiB living rows and {} KiB history: {} KiB segments, {} checkpoints, {} blobs, {} sled",
            self.ratio(),
            kib(self.rows),
            kib(self.history),
            kib(self.segments),
            kib(self.checkpoints),
            kib(self.blobs),
            kib(self.sled)
        )
    }
}
