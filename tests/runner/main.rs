//! End-to-end cases: each folder of `tests/cases` with a `case.toml` is one test.
//!
//! Each starts a real host with real connectors on a folder of its own, beside a
//! receiver that follows the case's script, and performs the case's steps.

mod case;
mod expect;
mod step;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut found = Vec::new();
    find(&cases, &mut found);
    found.sort();
    let trials = found.into_iter().map(|folder| trial(&cases, folder)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// The folders with a case in them.
fn find(below: &Path, found: &mut Vec<PathBuf>) {
    if below.join("case.toml").is_file() {
        found.push(below.to_owned());
        return;
    }
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            find(&entry.path(), found);
        }
    }
}

fn trial(cases: &Path, folder: PathBuf) -> Trial {
    let name = folder.strip_prefix(cases).unwrap_or(&folder).display().to_string();
    Trial::test(name.clone(), move || {
        let case = case::Case::read(&folder)?;
        world::World::set(&name, &folder, &case)
            .and_then(|mut world| world.perform(&case))
            .map_err(|error| Failed::from(format!("{}\n{error:#}", case.about)))
    })
}
