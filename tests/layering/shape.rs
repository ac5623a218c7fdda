//! What lies at the top of the repository, and what the map of the host names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Beside dot-files and `LICENSE-*`.
const TOP: [&str; 12] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "host",
    "plugins",
    "policies",
    "rust-toolchain.toml",
    "sdk-guest",
    "tests",
    "wit",
    "xtask",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn nothing_else_lies_at_the_top() {
    let output = Command::new("git").current_dir(root()).args(["ls-files", "-z"]).output().expect("git");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let files = String::from_utf8(output.stdout).expect("UTF-8");
    let tops: BTreeSet<&str> = files.split('\0').filter_map(|file| file.split('/').next()).collect();
    assert!(tops.contains("host"), "git lists no files");
    let is_known = |top: &str| TOP.contains(&top) || top.starts_with('.') || top.starts_with("LICENSE-");
    let strange: Vec<&str> = tops.into_iter().filter(|top| !top.is_empty() && !is_known(top)).collect();
    assert_eq!(strange, [""; 0]);
}

#[test]
fn every_path_on_the_map_exists() {
    let map = root().join("host/ARCHITECTURE.md");
    let text = fs::read_to_string(&map).expect("host/ARCHITECTURE.md");
    assert!(text.lines().count() < 300, "a map is short");
    let paths = paths(&text);
    assert!(paths.len() > 10, "the map names hardly any path: {paths:?}");
    let missing: Vec<&String> = paths.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "named, but not there: {missing:?}");
}

/// What stands between backquotes and begins with a folder of the top.
fn paths(text: &str) -> BTreeSet<String> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_path = |word: &&str| {
        let (top, rest) = word.split_once('/').unwrap_or_default();
        TOP.contains(&top) && !rest.contains([' ', '<', '*'])
    };
    quoted.filter(is_path).map(str::to_owned).collect()
}

#[test]
fn paths_are_found_between_backquotes() {
    let found =
        paths("| `host/model` | see `tests/cases/` and `cargo xtask`, not `POST /hooks/x` or host/none |\n`wit/`");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["host/model", "tests/cases/", "wit/"]);
}
