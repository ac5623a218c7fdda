//! Which guests there are: every folder beside this crate that is one, and every file
//! in `wat/`.
//!
//! Included by this crate's build script, which demands a test for each, and meant to
//! be included by whoever builds them: package `guest-NAME`, profile `guest`, target
//! `wasm32-wasip2`, and the component copied to `target/guests/NAME.wasm`.

/// The names of the guests in the folder `tests/guests`, sorted.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn guest_names(folder: &std::path::Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().join("Cargo.toml").is_file() && name != "common" && name != "harness" {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The names of the guests that are written in text, sorted: each file of this folder.
///
/// # Errors
/// When the folder cannot be read, or holds something else.
pub(crate) fn made_names(folder: &std::path::Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".wat").ok_or_else(|| std::io::Error::other(format!("{name} is no .wat file")))?;
        names.push(stem.to_owned());
    }
    names.sort();
    Ok(names)
}
