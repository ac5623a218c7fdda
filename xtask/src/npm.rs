//! Fetches what the proofs need from npm, pinned.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::{has, short, target};

/// GitHub's webhook payloads as the Octokit project publishes them.
const EXAMPLES: &str = "@octokit/webhooks-examples";
const EXAMPLES_VERSION: &str = "7.6.1";

/// Installs the published payloads once; the folder that they lie in.
///
/// # Errors
/// npm is missing, or cannot fetch.
pub fn examples() -> Result<PathBuf> {
    let folder = target().join("demo").join("node");
    let package = folder.join("node_modules").join(EXAMPLES);
    if installed_version(&package).as_deref() != Some(EXAMPLES_VERSION) {
        install(&folder)?;
    }
    match installed_version(&package) {
        Some(version) if version == EXAMPLES_VERSION => Ok(folder),
        found => bail!("npm was to install {EXAMPLES} {EXAMPLES_VERSION}, but left {found:?}"),
    }
}

fn install(folder: &Path) -> Result<()> {
    if !has("npm", "--version") {
        bail!(
            "npm is missing\n  cause: GitHub's published webhook payloads come from the npm package {EXAMPLES}\n  \
             fix: install Node.js with npm (https://nodejs.org), then run this again"
        );
    }
    fs::create_dir_all(folder).with_context(|| short(folder))?;
    let package = format!("{EXAMPLES}@{EXAMPLES_VERSION}");
    let output = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefix"])
        .arg(folder)
        .arg(&package)
        .output()
        .context("npm cannot be started")?;
    if !output.status.success() {
        bail!("`npm install {package}` failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn installed_version(package: &Path) -> Option<String> {
    let text = fs::read(package.join("package.json")).ok()?;
    let manifest: serde_json::Value = serde_json::from_slice(&text).ok()?;
    manifest["version"].as_str().map(str::to_owned)
}
