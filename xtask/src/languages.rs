//! Builds the connectors of `tests/languages`, which are not written in Rust.
//!
//! Owns how each language's tool is fetched, pinned, and run, all below
//! `target/languages`. What a component is made of is part of its name: built once, and
//! again when any of it changes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::workspace::{empty_folder, root, short, target, words};

/// Changes whenever a component is built with other options.
const RECIPE: &str = "1";

/// A language that connectors are proved in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// QuickJS inside, by `componentize-qjs` from npm.
    JavaScript,
    /// CPython inside, by `componentize-py` from PyPI.
    Python,
}

/// All of them.
pub const LANGUAGES: [Language; 2] = [Language::JavaScript, Language::Python];

/// What a component is made of: its own files and the contract, by path below the root.
type Sources = BTreeMap<PathBuf, Vec<u8>>;

impl Language {
    /// The name of its folder, of its connector and of its component.
    pub fn name(self) -> &'static str {
        match self {
            Self::JavaScript => "javascript",
            Self::Python => "python",
        }
    }

    fn folder(self) -> PathBuf {
        root().join("tests/languages").join(self.name())
    }

    /// Why its connector can be neither found nor built on this machine; none: it can.
    ///
    /// # Errors
    /// Its sources cannot be read.
    pub fn missing(self) -> Result<Option<String>> {
        if self.component(&self.sources()?).is_file() {
            return Ok(None);
        }
        let (command, fix): (&[&str], &str) = match self {
            Self::JavaScript => (&["npm", "--version"], "install Node.js with npm (https://nodejs.org)"),
            Self::Python => {
                (&["python3", "-m", "pip", "--version"], "install Python with pip (https://www.python.org)")
            }
        };
        let output = Command::new(command[0]).args(&command[1..]).output();
        if output.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        Ok(Some(format!("`{}` does not run, which its tool is fetched with: {fix}", command.join(" "))))
    }

    /// The built component; builds it if that has not been done.
    ///
    /// # Errors
    /// The tool cannot be fetched, or refuses the connector.
    pub fn build(self) -> Result<PathBuf> {
        let sources = self.sources()?;
        let component = self.component(&sources);
        if component.is_file() {
            return Ok(component);
        }
        let tool = self.tool()?;
        // Another process may be building the same.
        let work = folder().join(format!("{}.{}", self.name(), process::id()));
        let wit = work.join("wit");
        empty_folder(&wit.join("deps/connector"))?;
        for (path, content) in &sources {
            let name = path.file_name().context("a source has a name")?;
            let place = match path.extension().and_then(OsStr::to_str) {
                Some("wit") if path.starts_with("wit") => wit.join("deps/connector").join(name),
                Some("wit") => wit.join(name),
                _ => work.join(name),
            };
            fs::write(&place, content).with_context(|| short(&place))?;
        }
        let built = work.join("built.wasm");
        finish(&mut self.compile(&tool, &work, &wit, &built))?;
        fs::rename(&built, &component).with_context(|| short(&component))?;
        fs::remove_dir_all(&work).with_context(|| short(&work))?;
        Ok(component)
    }

    /// The tool's own command line.
    fn compile(self, tool: &Path, work: &Path, wit: &Path, built: &Path) -> Command {
        match self {
            // Without `--sync` it needs component-model async, which the contract waits with.
            Self::JavaScript => {
                let mut command = Command::new("node");
                command.arg(tool.join("node_modules/componentize-qjs/cli.mjs")).args(["--sync", "--opt-size"]);
                command.arg("--wit").arg(wit).arg("--js").arg(work.join("connector.js")).arg("--output").arg(built);
                command
            }
            Self::Python => {
                let mut command = Command::new("python3");
                // What a virtual environment holds has no place in the component.
                command.env("PYTHONPATH", tool).env_remove("VIRTUAL_ENV").arg(tool.join("bin/componentize-py"));
                command.arg("--wit-path").arg(wit).args(["--world", "probe", "--quiet", "componentize"]);
                command.arg("--python-path").arg(work).arg("--output").arg(built).arg("connector");
                command
            }
        }
    }

    /// The folder of the tool, in the pinned version; fetched once.
    fn tool(self) -> Result<PathBuf> {
        let (name, version) = self.pinned()?;
        let tool = folder().join("tools").join(format!("{name}-{version}"));
        if tool.is_dir() {
            return Ok(tool);
        }
        let new = folder().join("tools").join(format!("{name}.{}", process::id()));
        empty_folder(&new)?;
        let mut command = match self {
            Self::JavaScript => {
                let mut command = Command::new("npm");
                command.args([
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--ignore-scripts",
                    "--loglevel=error",
                    "--prefix",
                ]);
                command.arg(&new).arg(format!("{name}@{version}"));
                command
            }
            Self::Python => {
                let mut command = Command::new("python3");
                command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
                command.arg("--target").arg(&new).arg(format!("{name}=={version}"));
                command
            }
        };
        finish(&mut command)?;
        if let Err(error) = fs::rename(&new, &tool) {
            // Who else fetched it meanwhile fetched the same.
            ensure!(tool.is_dir(), "{} cannot be made: {error}", short(&tool));
            fs::remove_dir_all(&new).with_context(|| short(&new))?;
        }
        Ok(tool)
    }

    /// The tool's name and exact version, as the connector's own folder pins them.
    fn pinned(self) -> Result<(String, String)> {
        #[derive(Deserialize)]
        struct Package {
            dependencies: BTreeMap<String, String>,
        }
        let file = self.folder().join(match self {
            Self::JavaScript => "package.json",
            Self::Python => "requirements.txt",
        });
        let text = fs::read_to_string(&file).with_context(|| short(&file))?;
        let pinned = match self {
            Self::JavaScript => serde_json::from_str::<Package>(&text)?.dependencies.into_iter().next(),
            Self::Python => text.trim().split_once("==").map(|(name, version)| (name.to_owned(), version.to_owned())),
        };
        let exact = |(_, version): &(String, String)| version.starts_with(|first: char| first.is_ascii_digit());
        pinned.filter(exact).ok_or_else(|| anyhow!("{} does not pin the tool to one version", short(&file)))
    }

    fn sources(self) -> Result<Sources> {
        let mut sources = Sources::new();
        for folder in [self.folder(), root().join("wit")] {
            for entry in fs::read_dir(&folder).with_context(|| short(&folder))? {
                let path = entry?.path();
                // Python leaves folders beside what it reads.
                if path.is_file() {
                    let content = fs::read(&path).with_context(|| short(&path))?;
                    sources.insert(path.strip_prefix(root())?.to_owned(), content);
                }
            }
        }
        Ok(sources)
    }

    /// Where the component lies that is made of exactly this.
    fn component(self, sources: &Sources) -> PathBuf {
        let mut digest = Sha256::new_with_prefix(RECIPE);
        for (path, content) in sources {
            for part in [path.as_os_str().as_encoded_bytes(), content.as_slice()] {
                digest.update(part.len().to_le_bytes());
                digest.update(part);
            }
        }
        let digest = hex::encode(digest.finalize());
        folder().join(format!("{}-{}.wasm", self.name(), &digest[..16]))
    }
}

fn folder() -> PathBuf {
    target().join("languages")
}

/// Runs a tool to its end; its output is shown only when it fails.
fn finish(command: &mut Command) -> Result<()> {
    let words = words(command);
    let output = command.output().with_context(|| format!("`{words}` cannot be started"))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("`{words}` failed ({}):\n{out}{err}", output.status);
    }
    Ok(())
}
