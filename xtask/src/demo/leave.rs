//! Leaving the demo's host and its stand-ins running, and ending them again.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::host::terminate;
use crate::stage::{HOOK, Stage};
use crate::workspace::{short, sluice};

/// Holds the process ids, one a line, of what was left running.
const PIDS: &str = "running.pids";
/// The host drains for 20 s at most.
const END_WITHIN: Duration = Duration::from_secs(30);

/// Leaves the host and its stand-ins running and says what to try next.
pub(super) fn running(stage: Stage) -> Result<()> {
    let (folder, address) = (stage.folder().to_owned(), stage.receiver().address());
    let pid = stage.host()?.pid();
    let settings = stage.leave_running().context("the host is not running")?;
    // The stand-ins go on in a process of their own, at the same address.
    let receiver = spawn_receiver(address, &folder)?;
    fs::write(folder.join(PIDS), format!("{pid}\n{receiver}\n")).with_context(|| short(&folder.join(PIDS)))?;
    let sluice = format!("{} --data {} --environment test", short(&sluice()), short(&settings.data));
    println!("\nThe host runs on: webhooks at http://{}{HOOK}, log in {}", settings.hooks, short(&settings.log));
    println!("Its Slack and GitHub are stand-ins at http://{address}, which write to {}/receiver.log", short(&folder));
    println!("\nTry next:");
    for (command, what) in [
        ("run list --limit 5", "what happened last"),
        ("plugin list", "what is installed, and what was approved"),
        ("policy explain --plugin http --operation get GET https://example.com/", "who says no, and why"),
        ("flow run status-to-issue --wait --input '{\"repository\":\"you/yours\"}'", "start a flow by hand"),
        ("plugin revoke slack", "take it back: the flow pauses itself, and its events wait"),
    ] {
        println!("  {sluice} {command}\n      {what}");
    }
    println!("  cargo xtask demo --stop\n      end the host and its stand-ins");
    Ok(())
}

/// The stand-ins in a process of their own.
fn spawn_receiver(address: SocketAddr, folder: &Path) -> Result<u32> {
    let program = std::env::current_exe().context("this program's own path")?;
    let log = folder.join("receiver.out");
    let output = File::create(&log).with_context(|| short(&log))?;
    let child = Command::new(program)
        .args(["receiver", "--listen", &address.to_string(), "--log"])
        .arg(folder.join("receiver.log"))
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn();
    Ok(child.context("the stand-ins cannot be started")?.id())
}

/// Ends what an earlier demo left running in this folder, if anything.
///
/// # Errors
/// It does not end.
pub fn stop_left_running(folder: &Path) -> Result<()> {
    let file = folder.join(PIDS);
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).filter(|pid| is_ours(*pid)).collect();
    for pid in &pids {
        println!("   ending process {pid} of an earlier demo");
        terminate(*pid)?;
    }
    let started = Instant::now();
    while pids.iter().any(|pid| is_ours(*pid)) {
        if started.elapsed() > END_WITHIN {
            bail!("processes of an earlier demo do not end: {pids:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    fs::remove_file(&file).with_context(|| short(&file))
}

/// Whether this process is one that a demo left: process ids are used again.
fn is_ours(pid: u32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    command.contains("xtask receiver ") || (command.contains("sluice ") && command.contains(" serve "))
}
