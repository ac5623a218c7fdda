//! The published JSON Schema of manifests is that of the code.
//!
//! `SLUICEGATE_REWRITE=1` writes it anew.

use std::fs;
use std::path::Path;

use model::Manifest;

#[test]
fn the_published_schema_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/manifest.schema.json");
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Manifest)).expect("a schema is JSON") + "\n";
    if std::env::var_os("SLUICEGATE_REWRITE").is_some() {
        fs::write(&path, &schema).expect("the schema can be written");
    }
    let published = fs::read_to_string(&path).expect("wit/manifest.schema.json is there");
    assert!(published == schema, "wit/manifest.schema.json is out of date: run the tests with SLUICEGATE_REWRITE=1");
}
