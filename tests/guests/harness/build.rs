//! Demands a test for each guest: a list of functions that the tests must define.

use std::path::PathBuf;
use std::{env, fs, io};

mod folders;

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name));
    let harness = variable("CARGO_MANIFEST_DIR")?;
    let guests = harness.join("..");
    println!("cargo::rerun-if-changed={}", guests.display());
    let mut names = folders::guest_names(&guests)?;
    names.extend(folders::made_names(&harness.join("wat"))?);
    let functions: Vec<String> = names.iter().map(|name| name.replace('-', "_")).collect();
    let list = format!("const _: &[fn()] = &[{}];\n", functions.join(", "));
    fs::write(variable("OUT_DIR")?.join("demanded.rs"), list)
}
