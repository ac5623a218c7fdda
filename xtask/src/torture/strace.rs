//! strace as a fault injector: found, installed where that is allowed, or missed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::workspace::has;

/// A tracer writes its last lines when what it traces has ended.
const TRACE_WITHIN: Duration = Duration::from_millis(500);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Why strace cannot be used here, if it cannot.
pub(super) fn missing() -> Option<String> {
    if !has("strace", "-V") && is_root() {
        // What matters is whether it is there afterwards.
        let _ = Command::new("apt-get").args(["install", "--yes", "--quiet", "strace"]).output();
    }
    if !has("strace", "-V") {
        return Some("strace is missing: apt-get install strace".to_owned());
    }
    let traced = Command::new("strace").args(["-D", "-f", "-qq", "-o", "/dev/null", "true"]).output();
    match traced {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("strace may not trace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Some(format!("strace cannot be started: {error}")),
    }
}

/// Whether this process may do everything.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// One fault, armed.
pub(super) struct Injection {
    /// A tracer that makes itself a grandchild of whoever it traces.
    pub(super) tracer: Vec<String>,
    trace: PathBuf,
}

impl Injection {
    /// Meets one system call, counted within each thread, with one fault.
    pub(super) fn new(folder: &Path, call: &str, fault: &str, when: usize) -> Self {
        let trace = folder.join("trace");
        // Of the injection before; there may be none.
        let _ = fs::remove_file(&trace);
        let (inject, file) = (format!("inject={call}:{fault}:when={when}"), trace.display().to_string());
        let tracer = ["strace", "-D", "-f", "-qq", "-o", &file, "-e", &format!("trace={call}"), "-e", &inject];
        Self { tracer: tracer.map(str::to_owned).to_vec(), trace }
    }

    /// Whether some call met it; once the traced process has ended.
    pub(super) fn was_met(&self) -> bool {
        let began = Instant::now();
        loop {
            let trace = fs::read(&self.trace).unwrap_or_default();
            if String::from_utf8_lossy(&trace).contains("(INJECTED)") {
                return true;
            }
            if began.elapsed() > TRACE_WITHIN {
                return false;
            }
            thread::sleep(LOOK_AGAIN_AFTER);
        }
    }
}
