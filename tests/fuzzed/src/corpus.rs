//! Real documents: those that the project ships and tests with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

/// Documents of one kind, as text and, where they can be read at all, as trees.
pub(crate) struct Corpus {
    pub(crate) texts: Vec<String>,
    pub(crate) trees: Vec<Value>,
}

/// Ceilings, grants, and documents that are neither.
pub(crate) static POLICIES: LazyLock<Corpus> = LazyLock::new(|| {
    let texts = texts(&["policies", "tests/demo", "tests/cases"], &["toml"]);
    let trees = texts.iter().filter_map(|text| toml::from_str(text).ok()).collect();
    Corpus { texts, trees }
});

/// Flows, good and wrong.
pub(crate) static FLOWS: LazyLock<Corpus> = LazyLock::new(|| {
    let texts = texts(&["host/flow/tests/cases", "tests/cases", "tests/demo/flows"], &["yaml"]);
    let trees = texts.iter().filter_map(|text| serde_saphyr::from_str(text).ok()).collect();
    Corpus { texts, trees }
});

/// Manifests.
pub(crate) static MANIFESTS: LazyLock<Corpus> = LazyLock::new(|| {
    let mut texts = texts(&["host/flow/tests/fixtures"], &["json"]);
    texts.extend(self::texts(&["sdk-guest/rust/tests"], &["manifest.json"]));
    let trees = texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    Corpus { texts, trees }
});

/// The files below these folders of the repository whose names end so.
fn texts(folders: &[&str], endings: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in folders {
        find(&root.join(folder), endings, &mut files);
    }
    files.sort();
    assert!(!files.is_empty(), "no document ends in {endings:?} below {folders:?}");
    files.into_iter().map(|file| fs::read_to_string(&file).expect("a document of the corpus")).collect()
}

fn find(folder: &Path, endings: &[&str], files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the corpus") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            find(&path, endings, files);
        } else if endings.iter().any(|ending| name.ends_with(&format!(".{ending}"))) {
            files.push(path);
        }
    }
}
