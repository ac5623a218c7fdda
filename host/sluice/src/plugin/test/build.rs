//! From a connector's folder to its component, by cargo: what is tested is what the
//! sources say now.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::Problem;
use serde::Deserialize;

use crate::exit::Stop;

/// The one kind of cargo's messages that matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Builds the connector in `folder`, and says where its component is.
pub(super) fn component(folder: &Path) -> Result<PathBuf, Stop> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(Stop::failed(
            Problem::new("no-connector", format!("{} holds no Cargo.toml", folder.display()))
                .fix("name the connector's folder, or its component: sluice plugin test FILE.wasm --samples DIR"),
        ));
    }
    let manifest = manifest.canonicalize().map_err(anyhow::Error::new)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--lib",
            "--release",
            "--target",
            "wasm32-wasip2",
            "--message-format",
            "json-render-diagnostics",
        ])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| {
            Stop::failed(
                Problem::new("no-cargo", format!("cargo cannot be started: {error}"))
                    .fix("install Rust from https://rustup.rs, or name a component that is built already"),
            )
        })?;
    if !output.status.success() {
        return Err(Stop::failed(
            Problem::new("not-built", "the connector does not build")
                .fix("mend what cargo says above; if the target is missing: rustup target add wasm32-wasip2"),
        ));
    }
    find(&String::from_utf8_lossy(&output.stdout), &manifest)
}

fn find(messages: &str, manifest: &Path) -> Result<PathBuf, Stop> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let artefacts =
        messages.filter(|message| message.reason == "compiler-artifact" && message.manifest_path == manifest);
    let mut files = artefacts.flat_map(|message| message.filenames);
    files.rfind(|file| file.extension().is_some_and(|extension| extension == "wasm")).ok_or_else(|| {
        Stop::failed(
            Problem::new("no-component", "the crate builds, but not to a component")
                .fix("write in Cargo.toml:\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connectors_own_artefact_is_found() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/other/Cargo.toml\",\"filenames\":[\"/t/other.wasm\"]}\n",
            "{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/own/Cargo.toml\",\"filenames\":[\"/t/own.rlib\",\"/t/own.wasm\"]}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        let found = find(messages, Path::new("/own/Cargo.toml")).expect("a component");
        assert_eq!(found, Path::new("/t/own.wasm"));
        assert!(find(messages, Path::new("/none/Cargo.toml")).is_err());
    }
}
