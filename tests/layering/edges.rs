//! Which crate may use which.

use std::collections::BTreeMap;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// The host's crates and what each may use of ours: the table of `host/ARCHITECTURE.md`.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("policy", &["model"]),
    ("flow", &["model"]),
    ("store", &["model"]),
    ("vault", &["model", "store"]),
    ("egress", &["model", "policy"]),
    ("sandbox", &["model", "policy", "egress"]),
    ("engine", &["model", "policy", "flow", "store", "vault", "egress", "sandbox"]),
    ("api", &["model", "policy", "flow", "store", "vault", "egress", "sandbox", "engine"]),
    ("sluice", &["model", "policy", "flow", "store", "vault", "egress", "sandbox", "engine", "api"]),
    ("testkit", &["model", "store"]),
];

/// Outside libraries that one crate owns, and who besides may test with them.
const OWNED: [(&str, &[&str], &[&str]); 5] = [
    ("sled", &["store"], &[]),
    ("wasmtime", &["sandbox"], &[]),
    ("wasmtime-wasi", &["sandbox"], &[]),
    // A server of a test's own is not the host's.
    ("axum", &["api"], &["egress", "engine", "sandbox", "sluice", "guest-tests"]),
    ("reqwest", &["egress"], &[]),
];

/// Measures our layers beside the plain libraries: the reference names them all.
const REFERENCE: &str = "bench";

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata")
}

fn members(metadata: &Metadata) -> BTreeMap<&str, &Package> {
    metadata.packages.iter().map(|package| (package.name.as_str(), package)).collect()
}

/// Whether the package lies below this folder of the repository.
fn lies_below(package: &Package, folder: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the root");
    package.manifest_path.as_std_path().starts_with(root.join(folder))
}

/// Forbidden edges between the host's crates.
fn forbidden_edges(package: &Package, ours: &[&str]) -> Vec<String> {
    let (_, allowed) = MAY_USE.iter().find(|(name, _)| *name == package.name.as_str()).unwrap_or(&("", &[]));
    let is_forbidden = |dependency: &cargo_metadata::Dependency| {
        let name = dependency.name.as_str();
        let as_test_tool = name == "testkit" && dependency.kind == DependencyKind::Development;
        ours.contains(&name) && name != package.name.as_str() && !allowed.contains(&name) && !as_test_tool
    };
    let forbidden = package.dependencies.iter().filter(|dependency| is_forbidden(dependency));
    forbidden.map(|dependency| format!("{} must not use {}", package.name, dependency.name)).collect()
}

#[test]
fn arrows_only_go_up_the_table() {
    let metadata = metadata();
    let ours: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let hosts: Vec<&Package> = metadata.packages.iter().filter(|package| lies_below(package, "host")).collect();
    let mut names: Vec<&str> = hosts.iter().map(|package| package.name.as_str()).collect();
    let mut listed = ours.clone();
    names.sort_unstable();
    listed.sort_unstable();
    assert_eq!(names, listed, "the crates in host/ are not those of the table");
    let forbidden: Vec<String> = hosts.iter().flat_map(|package| forbidden_edges(package, &ours)).collect();
    assert!(forbidden.is_empty(), "{}", forbidden.join("\n"));
}

#[test]
fn each_outside_library_has_one_owner() {
    let metadata = metadata();
    let mut strangers = Vec::new();
    for (library, owners, testers) in OWNED {
        for (name, package) in members(&metadata) {
            // A package outside the repository's folders is not the project's.
            if name == REFERENCE || lies_below(package, "target") {
                continue;
            }
            for dependency in package.dependencies.iter().filter(|dependency| dependency.name == library) {
                let owns = owners.contains(&name);
                let tests = dependency.kind == DependencyKind::Development && testers.contains(&name);
                if !owns && !tests {
                    strangers.push(format!("{name} names {library}, which belongs to {}", owners.join(", ")));
                }
            }
        }
    }
    assert!(strangers.is_empty(), "{}", strangers.join("\n"));
}

#[test]
fn connectors_and_the_tool_know_no_crate_of_the_host() {
    let metadata = metadata();
    let ours: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut checked = 0;
    for package in metadata.packages.iter().filter(|package| lies_below(package, "plugins") || package.name == "xtask")
    {
        let known = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        let known: Vec<&str> =
            known.map(|dependency| dependency.name.as_str()).filter(|name| ours.contains(name)).collect();
        assert!(known.is_empty(), "{} uses {known:?}", package.name);
        checked += 1;
    }
    assert!(checked >= 5, "only {checked} packages were found");
}

/// A test of the test: a forbidden edge is found.
#[test]
fn a_forbidden_edge_is_noticed() {
    let metadata = metadata();
    let members = members(&metadata);
    let ours: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut policy = members["policy"].clone();
    let engine =
        members["api"].dependencies.iter().find(|dependency| dependency.name == "engine").expect("api uses it");
    policy.dependencies.push(engine.clone());
    assert_eq!(forbidden_edges(&policy, &ours), ["policy must not use engine"]);
}
