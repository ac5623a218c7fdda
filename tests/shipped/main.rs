//! The documents we ship fit the connectors we ship: every suggested grant is accepted
//! under the default ceiling and covers what its connector asks for.

mod transfers;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
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

#[test]
fn starter_jobs_pass_their_own_tests_without_a_host() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = Settings::in_folder(folder.path());
    let must = |arguments: &[&str]| -> Result<String> {
        let done = settings.run(arguments)?;
        ensure!(done.code == 0, "{}:\n{}", arguments.join(" "), done.text());
        Ok(done.stdout)
    };
    let write = |name: &str| -> Result<String> {
        let text = fs::read_to_string(root().join("tests/demo").join(name))?;
        let facts = [("@receiver@", "127.0.0.1:9"), ("@folder@", "/srv/sluicegate"), ("@every@", "15m")];
        let path = folder.path().join(name.replace('/', "-"));
        fs::write(&path, facts.iter().fold(text, |text, (mark, value)| text.replace(mark, value)))?;
        Ok(path.display().to_string())
    };
    must(&["plugin", "list"])?;
    fs::rename(write("ceiling.toml")?, settings.data.join("ceiling.toml"))?;
    for name in ["files", "github", "http", "slack"] {
        must(&["plugin", "install", &plugins().join(format!("{name}.wasm")).display().to_string()])?;
        must(&["plugin", "approve", name, "--grant", &write(&format!("grants/{name}.toml"))?])?;
    }
    let secret = folder.path().join("secret").display().to_string();
    fs::write(&secret, "a-long-enough-secret")?;
    for (name, place, scope) in [("github", "github", "issues:write"), ("slack", "slack/api", "chat:write")] {
        let url = format!("http://127.0.0.1:9/{place}");
        let add = ["connection", "add", name, "--id", name, "--base-url", &url, "--auth", "bearer", "--scope", scope];
        must(&[&add[..], &["--secret-file", &secret, "--webhook-secret-file", &secret]].concat())?;
    }
    for job in ["urgent-alert", "purchase-approval", "contact-sync"] {
        let told = must(&["flow", "test", &write(&format!("flows/{job}.yaml"))?])?;
        ensure!(told.ends_with("3 tests passed.\n"), "{job} has other tests:\n{told}");
    }
    Ok(())
}

#[test]
fn every_proof_that_the_threats_name_is_there() -> Result<()> {
    let text = fs::read_to_string(root().join("host/THREATS.md"))?;
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let proofs: BTreeSet<(&str, &str)> = quoted.filter_map(|word| word.split_once("::")).collect();
    ensure!(proofs.len() > 50, "the threats name hardly any proof: {proofs:?}");
    for (file, name) in proofs.into_iter().filter(|proof| *proof != ("file", "name")) {
        let source = fs::read_to_string(root().join(file)).with_context(|| format!("{file}, of {name}"))?;
        ensure!(source.contains(&format!("fn {name}(")), "there is no {name} in {file}");
    }
    Ok(())
}
