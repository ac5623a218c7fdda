//! Components that are loaded, refused, kept and tampered with; manifests that lie.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Digest, Problem};
use sandbox::{LoadError, Sandbox, precompile};

mod support;
use support::{misfit, misfit_with, options};

fn refused(sandbox: &Sandbox, wasm: &[u8]) -> LoadError {
    sandbox.load(wasm).expect_err("refused")
}

#[test]
fn refuses_by_name() {
    let home = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::open(options(home.path())).expect("a sandbox");
    let newer = misfit_with("sluicegate:connector/manifest@0.1.0", "sluicegate:connector/manifest@0.2.0");
    let stranger = misfit_with("sluicegate:connector/fetch@0.1.0", "sluicegate:connector/teleP@0.1.0");
    let nameless = misfit_with("sluicegate:connector/manifest@0.1.0", "sluicegate:connectox/manifest@0.1.0");
    let mut broken = misfit();
    let half = broken.len() / 2;
    broken.truncate(half);
    for (wasm, wanted) in [
        (&b"\0asm\x01\0\0\0"[..], "core WebAssembly module"),
        (b"plain text", "not a valid component"),
        (&broken, "not a valid component"),
        (b"\0asm\x0d\0\x01\0", "exports no sluicegate:connector/manifest@0.1.0"),
        (&newer, "speaks sluicegate:connector/manifest@0.2.0"),
        (&stranger, "imports sluicegate:connector/teleP@0.1.0"),
        (&nameless, "exports no sluicegate:connector/manifest@0.1.0"),
    ] {
        let problem = Problem::from(refused(&sandbox, wasm));
        assert!(problem.what.contains(wanted), "{problem} has no {wanted}");
        assert!(problem.cause.is_some() && problem.fix.is_some(), "{problem}");
    }
    let mut small = options(home.path());
    small.wasm_bytes_max = 1_000;
    let small = Sandbox::open(small).expect("a sandbox");
    assert!(matches!(refused(&small, &misfit()), LoadError::TooLarge { limit: 1_000, .. }));
}

#[test]
fn compiles_once_and_keeps_the_code() {
    let home = tempfile::tempdir().expect("a folder");
    let compiled = Arc::new(AtomicUsize::new(0));
    let counting = |home: &std::path::Path| {
        let compiled = compiled.clone();
        let mut options = options(home);
        options.compiler = Some(Arc::new(move |wasm: &[u8]| {
            compiled.fetch_add(1, Ordering::SeqCst);
            precompile(wasm, usize::MAX)
        }));
        Sandbox::open(options).expect("a sandbox")
    };
    let (wasm, sandbox) = (misfit(), counting(home.path()));
    let digest = Digest::of(&wasm);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| sandbox.load(&wasm).expect("loaded"));
        }
    });
    assert_eq!(compiled.load(Ordering::SeqCst), 1, "four loads at once");

    let restarted = counting(home.path());
    let plugin = restarted.load_cached(&digest, || panic!("the code is in the cache")).expect("loaded");
    assert!(plugin.exports().actions && plugin.exports().webhooks && plugin.exports().account);
    assert_eq!(compiled.load(Ordering::SeqCst), 1);

    let file = code_file(home.path());
    let mut bytes = std::fs::read(&file).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let plugin = counting(home.path()).load_cached(&digest, || Ok(wasm.clone())).expect("compiled again");
    assert_eq!(plugin.digest(), digest);
    assert_eq!(compiled.load(Ordering::SeqCst), 2);
    assert!(file.with_extension("bad").exists() && file.exists());
}

#[test]
fn another_key_does_not_trust_the_code() {
    let home = tempfile::tempdir().expect("a folder");
    let wasm = misfit();
    Sandbox::open(options(home.path())).expect("a sandbox").load(&wasm).expect("loaded");
    let file = code_file(home.path());
    let mut other = options(home.path());
    other.cache_key = [8; 32];
    let mut read = false;
    let loaded = Sandbox::open(other).expect("a sandbox").load_cached(&Digest::of(&wasm), || {
        read = true;
        Ok(wasm.clone())
    });
    assert!(loaded.is_ok() && read && file.with_extension("bad").exists());
}

#[test]
fn the_bytes_must_have_the_digest() {
    let home = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::open(options(home.path())).expect("a sandbox");
    let wanted = Digest::of(b"something else");
    let error = sandbox.load_cached(&wanted, || Ok(misfit())).expect_err("refused");
    assert!(matches!(error, LoadError::WrongDigest { .. }), "{error}");
    let error = sandbox.load_cached(&wanted, || Err(std::io::ErrorKind::NotFound.into())).expect_err("refused");
    assert!(matches!(error, LoadError::Unreadable(_)), "{error}");
}

#[tokio::test]
async fn a_manifest_does_not_vary_with_time_chance_or_the_network() {
    let world = support::World::new().await;
    assert!(world.manifest.purpose.contains("SystemTime"), "{}", world.manifest.purpose);
    assert!(world.manifest.data.starts_with("denied"), "{}", world.manifest.data);
    assert_eq!(world.sandbox.describe(&world.plugin).await.expect("described"), world.manifest);
}

#[tokio::test]
async fn a_manifest_that_lies_is_refused() {
    let home = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::open(options(home.path())).expect("a sandbox");
    for (from, to, code, place) in [
        (r#""check":{"destinations":[]}"#, r#""check":null               "#, "manifest-and-exports-differ", "account"),
        ("sluicegate:connector/webhooks", "sluicegate:connectox/webhooks", "manifest-and-exports-differ", "webhooks"),
        (r#""manifest_version": 1"#, r#""manifest_version": 2"#, "manifest-version", "2"),
        (r#""publisher": "Tests""#, r#""publisheR": "Tests""#, "manifest-invalid", "publisheR"),
        (r#""sample":{"input":{}"#, r#""sample":{"inputs":{"#, "manifest-invalid", ""),
        (r#""input":{},"output":{}"#, r#""input":[],"output":{}"#, "manifest-schema", "schema"),
        (r#""input":{},"output":{}"#, r#""input":{},"output": 0"#, "manifest-schema", "schema"),
    ] {
        let plugin = sandbox.load(&misfit_with(from, to)).expect("loaded");
        let problems = sandbox.describe(&plugin).await.expect_err("refused");
        let problem = problems.iter().find(|problem| problem.code == code);
        let problem = problem.unwrap_or_else(|| panic!("{to}: no {code} in {problems:?}"));
        assert!(problem.what.contains(place), "{problem} has no {place}");
    }
}

fn code_file(home: &std::path::Path) -> std::path::PathBuf {
    let mut files = std::fs::read_dir(home.join("code")).expect("listed").map(|entry| entry.expect("an entry").path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "code")).expect("a code file")
}

#[test]
fn garbage_in_the_cache_folder_harms_nobody() {
    let home = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::open(options(home.path())).expect("a sandbox");
    let wasm = misfit();
    sandbox.load(&wasm).expect("loaded");
    let file = code_file(home.path());
    std::fs::File::create(&file).and_then(|mut file| file.write_all(b"garbage")).expect("written");
    drop(sandbox);
    let sandbox = Sandbox::open(options(home.path())).expect("a sandbox");
    assert!(sandbox.load(&wasm).is_ok());
}
