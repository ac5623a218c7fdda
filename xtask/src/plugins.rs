//! Builds connectors and hostile test guests to components, by content.
//!
//! A component is built again only when a file that it is made of has changed: its
//! own sources, the SDK, the contract, or the lock file. Stamps lie beside the
//! components, in `target/plugins` and `target/guests`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::workspace::{cargo, has, root, run, short, spoken, target};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";
/// What every component is made of, beside its own folder.
const SHARED: [&str; 5] = ["sdk-guest/rust", "wit", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];

/// A component to build.
struct Component {
    name: String,
    package: String,
    folder: PathBuf,
    /// Where the built one goes.
    file: PathBuf,
}

/// Builds every connector of `plugins/` to `target/plugins/<name>.wasm`.
///
/// # Errors
/// A tool is missing, or a connector does not compile.
pub fn build() -> Result<()> {
    build_all(&components("plugins", "plugins")?, "connectors", &SHARED)
}

/// Builds every guest of `tests/guests/` to `target/guests/<name>.wasm`.
///
/// # Errors
/// A tool is missing, or a guest does not compile.
pub fn build_guests() -> Result<()> {
    let shared = [&SHARED[..], &["tests/guests/common"]].concat();
    build_all(&components("tests/guests", "guests")?, "test guests", &shared)
}

fn build_all(components: &[Component], what: &str, shared: &[&str]) -> Result<()> {
    let started = Instant::now();
    let shared: Vec<PathBuf> = shared.iter().map(|path| root().join(path)).collect();
    let shared = hash_of(&shared)?;
    let mut stale = Vec::new();
    for component in components {
        let stamp = format!("{shared}-{}", hash_of(std::slice::from_ref(&component.folder))?);
        let current = fs::read_to_string(component.stamp()).is_ok_and(|found| found == stamp);
        if !current || !component.file.exists() {
            stale.push((component, stamp));
        }
    }
    if !stale.is_empty() {
        add_target()?;
        let packages = stale.iter().flat_map(|(component, _)| ["--package", &component.package]);
        run(cargo(["build", "--profile", PROFILE, "--target", TARGET]).args(packages))?;
        for (component, stamp) in &stale {
            component.publish(stamp)?;
        }
    }
    for component in components {
        let bytes = fs::metadata(&component.file).with_context(|| short(&component.file))?.len();
        println!("  {:<40} {:>5} KiB", short(&component.file), bytes.div_ceil(1024));
    }
    let (built, all) = (stale.len(), components.len());
    println!("{all} {what}, {built} of them built now, in {}", spoken(started.elapsed()));
    Ok(())
}

impl Component {
    fn stamp(&self) -> PathBuf {
        self.file.with_extension("stamp")
    }

    /// Copies what cargo built; the stamp last, so that it never tells of a copy that failed.
    fn publish(&self, stamp: &str) -> Result<()> {
        let built = target().join(TARGET).join(PROFILE).join(format!("{}.wasm", self.package.replace('-', "_")));
        let folder = self.file.parent().context("a component lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| short(folder))?;
        fs::copy(&built, &self.file).with_context(|| format!("{} cannot be copied", short(&built)))?;
        fs::write(self.stamp(), stamp).with_context(|| short(&self.stamp()))
    }
}

/// The packages directly below a folder of the repository, sorted by name.
fn components(below: &str, to: &str) -> Result<Vec<Component>> {
    let Ok(entries) = fs::read_dir(root().join(below)) else { return Ok(Vec::new()) };
    let mut components = Vec::new();
    for entry in entries {
        let folder = entry.with_context(|| below.to_owned())?.path();
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        if !manifest.contains("\"cdylib\"") {
            continue; // What components share, or what runs them.
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let package = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        let package = package.with_context(|| format!("{}/Cargo.toml names no package", short(&folder)))?.to_owned();
        let file = target().join(to).join(format!("{name}.wasm"));
        components.push(Component { name, package, folder, file });
    }
    components.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(components)
}

/// Adds the WebAssembly target to the toolchain when it is missing.
fn add_target() -> Result<()> {
    let library =
        Command::new("rustc").current_dir(root()).args(["--print", "target-libdir", "--target", TARGET]).output();
    let library = library.context("`rustc` cannot be started: install the toolchain from https://rustup.rs")?;
    if Path::new(String::from_utf8_lossy(&library.stdout).trim()).exists() {
        return Ok(());
    }
    if !has("rustup", "--version") {
        bail!("the target {TARGET} is missing, and so is rustup, which would add it: see https://rustup.rs");
    }
    run(Command::new("rustup").current_dir(root()).args(["target", "add", TARGET]))
}

/// One hash over the names and contents of all files in and below these paths.
fn hash_of(paths: &[PathBuf]) -> Result<String> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let content = fs::read(&file).with_context(|| short(&file))?;
        hash.update(short(&file).as_bytes());
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    Ok(hex::encode(&hash.finalize()[..16]))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| short(path))? {
        let entry = entry.with_context(|| short(path))?;
        if entry.file_name() != "target" && entry.file_name() != "node_modules" {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_follows_names_and_contents() {
        let folder = target().join("tmp").join(format!("hash-{}", std::process::id()));
        crate::workspace::empty_folder(&folder).expect("a folder");
        let hash = || hash_of(std::slice::from_ref(&folder)).expect("readable");
        fs::write(folder.join("a"), "1").expect("a file");
        let first = hash();
        assert_eq!(first, hash(), "nothing has changed");
        fs::write(folder.join("a"), "2").expect("a file");
        let second = hash();
        assert_ne!(first, second, "the content has changed");
        fs::rename(folder.join("a"), folder.join("b")).expect("a file");
        assert_ne!(second, hash(), "the name has changed");
        fs::remove_dir_all(&folder).expect("removable");
    }

    #[test]
    fn the_four_shipped_connectors_are_found() {
        let found = components("plugins", "plugins").expect("readable");
        let names: Vec<&str> = found.iter().map(|component| component.name.as_str()).collect();
        assert_eq!(names, ["files", "github", "http", "slack"]);
    }
}
