//! Where things are, and how the tools of the toolchain are run.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies below the root")
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// The host's binary, as the dev profile builds it.
pub fn sluice() -> PathBuf {
    target().join("debug").join("sluice")
}

/// Builds the workspace with the simulator's time, which tokio pays for everywhere: one
/// set of features for the demo, the proofs and the tests, so that nothing is built twice.
pub const SIMULATED_TIME: [&str; 2] = ["--features", "sim/paused"];

/// A small test beside a program that is built: cargo then counts the features that tests
/// ask of libraries, as it does when it builds the tests, and builds nothing twice.
pub const AS_FOR_TESTS: [&str; 2] = ["--test", "layering"];

/// Where built plugins lie: `target/plugins/<name>.wasm`.
pub fn plugins() -> PathBuf {
    target().join("plugins")
}

/// The path from the root on, for people; the whole path when it lies elsewhere.
pub fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Cargo with these arguments, in the root, as this process itself was started.
pub fn cargo<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set by `cargo run` for this crate; they would make others build again.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.current_dir(root()).args(arguments);
    command
}

/// Runs a command to its end, its output shown.
///
/// # Errors
/// It cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let words = words(command);
    let status = command.status().with_context(|| format!("`{words}` cannot be started"))?;
    if !status.success() {
        bail!("`{words}` failed: {status}");
    }
    Ok(())
}

/// Whether a program can be started at all.
pub fn has(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// A command as people would type it.
pub fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = if program.is_absolute() { short(program) } else { program.display().to_string() };
    let quote = |argument: &OsStr| {
        let text = argument.to_string_lossy();
        let text = text.strip_prefix(&format!("{}/", root().display())).map_or_else(|| text.to_string(), str::to_owned);
        if text.is_empty() || text.contains([' ', '"', '{', '*']) { format!("'{text}'") } else { text }
    };
    std::iter::once(program).chain(command.get_args().map(quote)).collect::<Vec<_>>().join(" ")
}

/// Makes a folder empty: whatever was there is gone.
///
/// # Errors
/// The disk says no.
pub fn empty_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} cannot be removed", folder.display()));
        }
        Ok(()) | Err(_) => {}
    }
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))
}

/// Copies a folder into another one that exists, with all that is below it.
///
/// # Errors
/// The disk says no.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let output = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).output().context("cp cannot be started")?;
    if !output.status.success() {
        bail!("{} cannot be copied: {}", short(from), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// A duration as people read it: `0.3 s`, `2 min 5 s`.
pub fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
