//! `sluice plugin new`: a folder that builds to a connector and passes its tests.
//!
//! Template, SDK, contract and the versions of all libraries are in this binary, so
//! that a connector is started with exactly what this host speaks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};
use model::{PluginId, Problem};
use serde_json::json;

use crate::exit::{Answer, Outcome, Stop};

static TEMPLATE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/template");
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk-guest/rust");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");
const SAMPLES: &str = include_str!("../../../../sdk-guest/SAMPLES.md");
/// Cargo keeps the versions that the connector needs and drops the rest.
const LOCK: &str = include_str!("../../../../Cargo.lock");

pub(super) fn new(id: &PluginId, path: Option<&Path>) -> Outcome {
    let folder = path.map_or_else(|| PathBuf::from(id.as_str()), Path::to_owned);
    if folder.exists() {
        return Err(Stop::failed(
            Problem::new("folder-exists", format!("{} is there already", folder.display()))
                .fix("choose another place: --path DIR"),
        ));
    }
    write(id, &folder).map_err(|error| {
        Stop::failed(Problem::new("not-written", format!("{} cannot be written: {error}", folder.display())))
    })?;
    let place = folder.display();
    let text = format!(
        "{place} holds a connector that works. Next:\n  cd {place}\n  cargo test              its samples, natively\n  \
         sluice plugin test .    the same in the real sandbox, under the real policy\nThen write your own: src/lib.rs"
    );
    Ok(Answer::done(json!({ "plugin": id, "folder": folder }), text))
}

fn write(id: &PluginId, folder: &Path) -> io::Result<()> {
    let fill = |text: &str| {
        let text = text.replace("{{id}}", id.as_str()).replace("{{crate}}", &id.as_str().replace('-', "_"));
        text.replace("{{label}}", &label(id))
    };
    for file in files(&TEMPLATE) {
        let name = file.path().with_extension("");
        // A dot file in the template would work on the template itself.
        let name = if name.as_os_str() == "gitignore" { PathBuf::from(".gitignore") } else { name };
        let text = file.contents_utf8().ok_or_else(|| io::Error::other("the template is no text"))?;
        put(&folder.join(name), fill(text).as_bytes())?;
    }
    // The SDK reads the contract at `../../wit` from its own folder.
    for (dir, place) in [(&SDK, "vendor/sdk/rust"), (&WIT, "vendor/wit")] {
        for file in files(dir) {
            put(&folder.join(place).join(file.path()), file.contents())?;
        }
    }
    put(&folder.join("vendor/SAMPLES.md"), SAMPLES.as_bytes())?;
    put(&folder.join("Cargo.lock"), LOCK.as_bytes())
}

fn files<'a>(dir: &'a Dir<'a>) -> Vec<&'a include_dir::File<'a>> {
    let of_entry = |entry: &'a DirEntry<'a>| match entry {
        DirEntry::Dir(dir) => files(dir),
        DirEntry::File(file) => vec![file],
    };
    dir.entries().iter().flat_map(of_entry).collect()
}

fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
}

/// `my-notes` becomes `My notes`.
fn label(id: &PluginId) -> String {
    let words = id.as_str().replace('-', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_whole_and_filled_in() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("my-notes");
        let id: PluginId = "my-notes".parse().expect("an id");
        new(&id, Some(&folder)).expect("written");
        for name in [
            ".gitignore",
            "Cargo.lock",
            "vendor/wit/worlds.wit",
            "vendor/sdk/rust/macros/Cargo.toml",
            "samples/add-note.json",
        ] {
            assert!(folder.join(name).is_file(), "{name}");
        }
        let lib = fs::read_to_string(folder.join("src/lib.rs")).expect("sources");
        assert!(lib.contains("id: \"my-notes\", label: \"My notes\"") && !lib.contains("{{"), "{lib}");
        let stop = new(&id, Some(&folder)).expect_err("there already");
        assert_eq!(stop.problems[0].code, "folder-exists");
    }
}
