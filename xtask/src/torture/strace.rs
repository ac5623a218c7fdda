//! strace as a fault injector: found, installed where that is allowed, or missed.

use std::process::Command;

use crate::workspace::has;

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

/// A tracer that makes itself a grandchild of whoever it traces, and meets one system
/// call, counted within each thread, with one fault.
pub(super) fn injecting(call: &str, fault: &str, when: usize) -> Vec<String> {
    let inject = format!("inject={call}:{fault}:when={when}");
    ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]
        .map(str::to_owned)
        .to_vec()
}
