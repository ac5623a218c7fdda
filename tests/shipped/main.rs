//! The documents we ship fit the connectors we ship: every suggested grant is accepted
//! under the default ceiling and covers what its connector asks for.

use std::fs;

use anyhow::{Result, ensure};
use xtask::host::Settings;
use xtask::workspace::{plugins, root};

/// Of the HTTP connector the grant leaves open where it may send, on purpose.
const OPEN: &str = "http";

#[test]
fn suggested_grants_fit_their_connectors() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = Settings::in_folder(folder.path());
    for name in ["files", "github", "http", "slack"] {
        let wasm = plugins().join(format!("{name}.wasm")).display().to_string();
        let installed = settings.run(&["plugin", "install", &wasm])?;
        ensure!(installed.code == 0, "{name} cannot be installed:\n{}", installed.text());
        let grant = root().join(format!("policies/{name}.toml")).display().to_string();
        let approved = settings.run(&["plugin", "approve", name, "--grant", &grant])?;
        ensure!(approved.code == 0, "policies/{name}.toml is refused:\n{}", approved.text());
        let warned = approved.stderr.contains("warning");
        ensure!(!warned || name == OPEN, "policies/{name}.toml does not cover its connector:\n{}", approved.stderr);
    }
    Ok(())
}

#[test]
fn every_policy_file_parses() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = Settings::in_folder(folder.path());
    let mut count = 0;
    for entry in fs::read_dir(root().join("policies"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let checked = settings.run(&["policy", "check", &path.display().to_string()])?;
            ensure!(checked.code == 0, "{}:\n{}", path.display(), checked.text());
            count += 1;
        }
    }
    ensure!(count == 5, "policies/ holds {count} documents");
    Ok(())
}

#[test]
fn every_connector_passes_its_samples_in_the_real_host() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = Settings::in_folder(folder.path());
    for name in ["files", "github", "http", "slack"] {
        let wasm = plugins().join(format!("{name}.wasm")).display().to_string();
        let samples = root().join(format!("plugins/{name}/samples")).display().to_string();
        let tested = settings.run(&["plugin", "test", &wasm, "--samples", &samples])?;
        ensure!(tested.code == 0, "{name} fails its samples:\n{}", tested.text());
        ensure!(tested.stdout.contains("passed"), "{name} has no samples:\n{}", tested.text());
    }
    Ok(())
}
