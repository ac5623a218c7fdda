//! E7: cold start with 20 plugins in the code cache, idle memory, idle processor.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::load::status_bytes;
use crate::report::{ROUNDS, Row, median, seconds};

const PLUGINS: usize = 20;
/// How long it is watched doing nothing.
const IDLE: Duration = Duration::from_secs(20);
/// Room for all that one benchmark leaves waiting.
const QUEUE: &str = "200000";
/// A start that takes longer is a fault, not a figure.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(target)?;
    let sluice = target.join("release/sluice");
    let data = folder.path().join("data");
    prepare(target, &sluice, folder.path(), &data)?;
    let mut starts = Vec::new();
    for _ in 0..ROUNDS {
        let (host, took) = start(&sluice, &data)?;
        starts.push(seconds(took) * 1_000.0);
        stop(host)?;
    }
    let (host, _) = start(&sluice, &data)?;
    let (memory, processor) = idle(&host)?;
    stop(host)?;
    let start_ms = median(&mut starts);
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
    Ok(vec![
        row(
            "E7",
            "cold start to the first answer, 20 approved plugins cached",
            start_ms,
            "ms",
            "under 200 ms",
            start_ms < 200.0,
        ),
        row("E7 memory", "idle", memory, "MiB", "under 60 MiB", memory < 60.0),
        row("E7 cpu", "idle", processor, "%", "under 0.1 %", processor < IDLE_PERCENT_MAX),
    ])
}

/// Installs and approves twenty distinct plugins, as a person would.
fn prepare(target: &Path, sluice: &Path, folder: &Path, data: &Path) -> Result<()> {
    let wasm = fs::read(crate::calls::echo(target)).context("target/guests/echo.wasm is not built")?;
    let grant = folder.join("grant.toml");
    let mut id = None;
    for number in 0..PLUGINS {
        let file = folder.join(format!("{number}.wasm"));
        let mut bytes = wasm.clone();
        bytes.extend_from_slice(&[0, 3, 2, b'0' + u8::try_from(number / 10)?, b'0' + u8::try_from(number % 10)?]);
        fs::write(&file, &bytes)?;
        let digest = model::Digest::of(&bytes).to_string();
        let shown = run(sluice, data, &["--json", "plugin", "install", path(&file)?])?;
        if id.is_none() {
            let shown: serde_json::Value = serde_json::from_str(&shown)?;
            let found = shown.pointer("/plugins/0/manifest/id");
            let name = found.and_then(serde_json::Value::as_str).context("the installed plugin has an id")?.to_owned();
            fs::write(&grant, format!("version = 1\nplugin = \"{name}\"\n[operations.\"*\"]\n"))?;
            id = Some(name);
        }
        run(sluice, data, &["plugin", "approve", &digest, "--grant", path(&grant)?])?;
    }
    Ok(())
}

pub(crate) fn path(path: &Path) -> Result<&str> {
    path.to_str().context("the target folder's name is not UTF-8")
}

pub(crate) fn run(sluice: &Path, data: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(sluice).arg("--data").arg(data).args(arguments).output()?;
    ensure!(output.status.success(), "sluice {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Starts the host and waits for its first answer.
pub(crate) fn start(sluice: &Path, data: &Path) -> Result<(Child, Duration)> {
    let begun = Instant::now();
    let host = Command::new(sluice)
        .arg("--data")
        .arg(data)
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--queue", QUEUE])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let places = data.join("listen.json");
    loop {
        if answers(&places).unwrap_or(false) {
            return Ok((host, begun.elapsed()));
        }
        if begun.elapsed() > PATIENCE {
            bail!("the host did not answer within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn answers(places: &PathBuf) -> Result<bool> {
    let places: serde_json::Value = serde_json::from_slice(&fs::read(places)?)?;
    let address = places["hooks"].as_str().context("listen.json names the listener")?;
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

/// Of one core.
const IDLE_PERCENT_MAX: f64 = 0.1;

/// Memory in MiB and processor time in percent of one core, doing nothing.
#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn idle(host: &Child) -> Result<(f64, f64)> {
    // What starting leaves to be done is over by then.
    std::thread::sleep(Duration::from_secs(3));
    let before = processor_ns(host.id())?;
    std::thread::sleep(IDLE);
    let after = processor_ns(host.id())?;
    let spent = spent_ns(&before, &after);
    let percent = spent.iter().map(|(_, ns)| *ns).sum::<u64>() as f64 / 1e9 / seconds(IDLE) * 100.0;
    if percent >= IDLE_PERCENT_MAX {
        let most: Vec<String> =
            spent.iter().take(5).map(|(name, ns)| format!("{name} {} ms", ns / 1_000_000)).collect();
        eprintln!("doing nothing for {} s, most was spent by the threads {}", IDLE.as_secs(), most.join(", "));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", host.id()))?;
    let bytes = status_bytes(&status).context("the process status has no VmRSS")?;
    Ok((bytes as f64 / f64::from(1 << 20), percent))
}

/// Processor time of each thread so far, in nanoseconds, with its name. The clock ticks of
/// `/proc/PID/stat` are half as long as what is allowed altogether.
fn processor_ns(pid: u32) -> Result<BTreeMap<String, (String, u64)>> {
    let mut threads = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = thread?.path();
        let read = |file: &str| fs::read_to_string(folder.join(file));
        // One that has ended meanwhile is of no interest.
        let (Ok(name), Ok(spent)) = (read("comm"), read("schedstat")) else { continue };
        let ns = spent.split_whitespace().next().context("a thread's schedstat has three numbers")?.parse()?;
        threads.insert(folder.display().to_string(), (name.trim().to_owned(), ns));
    }
    Ok(threads)
}

/// What each thread spent between two readings, most first.
fn spent_ns(before: &BTreeMap<String, (String, u64)>, after: &BTreeMap<String, (String, u64)>) -> Vec<(String, u64)> {
    let since = |thread: &String| before.get(thread).map_or(0, |(_, ns)| *ns);
    let mut spent: Vec<(String, u64)> =
        after.iter().map(|(thread, (name, ns))| (name.clone(), ns.saturating_sub(since(thread)))).collect();
    spent.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    spent
}

pub(crate) fn stop(mut host: Child) -> Result<()> {
    let pid = host.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status()?;
    ensure!(host.wait()?.success(), "the host did not end cleanly");
    Ok(())
}
