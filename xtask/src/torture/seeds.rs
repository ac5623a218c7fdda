//! `cargo xtask torture sandbox`: the long form of every test over seeds.
//!
//! Whoever writes such a test names its function `tortured_...` and takes its seeds from
//! `testkit::Torture`; nothing else has to be said for it to be found here. As many run
//! side by side as there are processors, each in a process of its own, so that an abort
//! or a hang is the failure of one.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use super::simulator::processors;
use crate::report::{Claims, stage};
use crate::workspace::{SIMULATED_TIME, cargo, spoken};
use crate::{demo, plugins};

/// What begins the name of every test over seeds.
const PREFIX: &str = "tortured_";
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(100);
/// What a test may take beyond its time: its last seed, and putting things away.
const GRACE: Duration = Duration::from_secs(5 * 60);
/// Of what a failed test says, so many last lines are shown.
const LINES_SHOWN: usize = 15;

/// A test over seeds.
#[derive(Debug, Clone)]
struct Test {
    name: String,
    program: PathBuf,
    /// Where cargo would start it.
    folder: PathBuf,
}

/// The line of `testkit::Torture`.
#[derive(Debug, Deserialize)]
struct Line {
    seeds: u64,
    first: u64,
    failed: u64,
    failures: Vec<(u64, String)>,
    counts: BTreeMap<String, u64>,
}

/// How a test ended.
struct Ended {
    test: Test,
    status: Option<ExitStatus>,
    output: String,
    took: Duration,
}

/// Tortures the sandbox and what surrounds it for so many minutes, from this seed on;
/// with `only`, by the tests whose names contain it. Whether every promise held.
///
/// # Errors
/// Something cannot be built, or there is no such test.
pub fn sandbox(minutes: u64, first_seed: u64, only: Option<&str>) -> Result<bool> {
    demo::build()?;
    plugins::build_guests()?;
    let tests: Vec<Test> = find()?.into_iter().filter(|test| test.name.contains(only.unwrap_or(PREFIX))).collect();
    ensure!(!tests.is_empty(), "there is no test over seeds named {}", only.unwrap_or(PREFIX));
    let seconds = minutes * 60 * processors().min(tests.len()) as u64 / tests.len() as u64;
    println!("{} tests, {} each, from seed {first_seed} on", tests.len(), spoken(Duration::from_secs(seconds)));
    let mut claims = Claims::default();
    stage("Tests over seeds", || {
        let waiting = Mutex::new(VecDeque::from(tests));
        let ended = thread::scope(|scope| {
            let work = || drain(&waiting, seconds, first_seed);
            let workers: Vec<_> = (0..processors()).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect::<Vec<_>>()
        });
        ended.into_iter().for_each(|ended| settle(ended, &mut claims));
        Ok(())
    })?;
    println!("\n{}", claims.summary());
    Ok(claims.held())
}

/// Every test over seeds in the workspace.
fn find() -> Result<Vec<Test>> {
    let build = ["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics", "--quiet"];
    let output = cargo(build).args(SIMULATED_TIME).stderr(Stdio::inherit()).output().context("cargo")?;
    ensure!(output.status.success(), "the tests do not compile");
    let mut tests = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((program, folder)) = program_of(line) else { continue };
        let listed = Command::new(&program).args(["--list", "--format", "terse"]).current_dir(&folder).output();
        let listed = listed.with_context(|| program.display().to_string())?;
        for name in String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.strip_suffix(": test")) {
            if name.rsplit("::").next().is_some_and(|function| function.starts_with(PREFIX)) {
                tests.push(Test { name: name.to_owned(), program: program.clone(), folder: folder.clone() });
            }
        }
    }
    Ok(tests)
}

/// The program of a test, and its package's folder, in a message of cargo's.
fn program_of(message: &str) -> Option<(PathBuf, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let is_test = message["profile"]["test"].as_bool()?;
    let program = message["executable"].as_str().filter(|_| is_test)?;
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    Some((program.into(), folder.to_owned()))
}

/// Runs one waiting test after another.
fn drain(waiting: &Mutex<VecDeque<Test>>, seconds: u64, first_seed: u64) -> Vec<Ended> {
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let mut ended = Vec::new();
    while let Some(test) = next() {
        let started = Instant::now();
        let (status, output) = match start(&test, seconds, first_seed).and_then(|child| finish(child, seconds)) {
            Ok(came) => came,
            Err(error) => (None, format!("{error:#}")),
        };
        ended.push(Ended { test, status, output, took: started.elapsed() });
    }
    ended
}

fn start(test: &Test, seconds: u64, first_seed: u64) -> Result<Child> {
    let mut command = Command::new(&test.program);
    command.args(["--exact", &test.name, "--nocapture"]).current_dir(&test.folder);
    command.env("TORTURE_SECONDS", seconds.to_string()).env("TORTURE_SEED", first_seed.to_string());
    command.env("CARGO_MANIFEST_DIR", &test.folder);
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().with_context(|| test.program.display().to_string())
}

/// Waits for its end, or ends it; no status when it had to.
fn finish(mut child: Child, seconds: u64) -> Result<(Option<ExitStatus>, String)> {
    let until = Instant::now() + Duration::from_secs(seconds) + GRACE;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let read = |source: Option<Box<dyn std::io::Read + Send>>| {
            let mut bytes = Vec::new();
            // What was read until a pipe broke is shown.
            let _broken = source.map(|mut source| source.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let out = scope.spawn(move || read(stdout.map(|pipe| Box::new(pipe) as _)));
        let told = scope.spawn(move || read(stderr.map(|pipe| Box::new(pipe) as _)));
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if Instant::now() >= until {
                child.kill()?;
                child.wait()?;
                break None;
            }
            thread::sleep(LOOK);
        };
        let output = [told.join(), out.join()].map(Result::unwrap_or_default).join("\n");
        Ok((status, output))
    })
}

fn settle(ended: Ended, claims: &mut Claims) {
    let Ended { test, status, output, took } = ended;
    let line = output.lines().find_map(|line| parse(line).ok());
    let outcome = match (status, &line) {
        (Some(status), Some(line)) if status.success() && line.failed == 0 => {
            Ok(format!("{} seeds ({} to {}) in {}", line.seeds, line.first, line.last(), spoken(took)))
        }
        (Some(status), _) => Err(format!("{status}\n{}", last_lines(&output))),
        (None, _) => Err(format!("it hangs, or could not be started\n{}", last_lines(&output))),
    };
    claims.settle(&test.name, outcome);
    let Some(line) = line else { return };
    line.counts.iter().for_each(|(what, times)| println!("   {times:>9} {what}"));
    for (seed, why) in &line.failures {
        println!(
            "   seed {seed}: {why}\n     replay: cargo xtask torture sandbox --only {} --minutes 0 --seed {seed}",
            test.name
        );
    }
}

impl Line {
    fn last(&self) -> u64 {
        self.first + self.seeds.saturating_sub(1)
    }
}

/// `torture: NAME {JSON}`
fn parse(line: &str) -> Result<Line> {
    let Some(json) = line.split_once("torture: ").and_then(|(_, rest)| rest.split_once(' ')) else {
        bail!("another line");
    };
    Ok(serde_json::from_str(json.1)?)
}

fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_test_is_read() {
        let text = "test x ... torture: generated {\"seeds\":3,\"first\":7,\"failed\":1,\"failures\":[[8,\"no\"]],\"counts\":{\"loaded\":2}}";
        let line = parse(text).expect("a line");
        assert_eq!((line.seeds, line.last(), line.failed, line.counts["loaded"]), (3, 9, 1, 2));
        assert_eq!(line.failures, [(8, "no".to_owned())]);
        assert!(parse("running 1 test").is_err());
    }

    #[test]
    fn programs_of_tests_are_told_from_others() {
        let test = r#"{"reason":"compiler-artifact","manifest_path":"/r/host/x/Cargo.toml","profile":{"test":true},"executable":"/t/x-1"}"#;
        assert_eq!(program_of(test), Some(("/t/x-1".into(), "/r/host/x".into())));
        assert_eq!(program_of(&test.replace("true", "false")), None);
        assert_eq!(program_of("{\"reason\":\"build-finished\"}"), None);
        assert_eq!(last_lines("a\nb\n\n"), "a\nb");
    }
}
