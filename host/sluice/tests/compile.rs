//! Components that make the compiler eat time or memory: each costs one refused
//! install with its cause, whichever command meets it, and the host goes on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "each test binary uses a part")]
mod bench;

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use bench::{Bench, Host};

/// What is waited for comes long before; else the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connector by its form, with one function that says nothing, and one that is hard to
/// compile: each of `locals` variables is alive in each of `loops` loops within one
/// another, so that the compiler keeps a value for each variable in each loop.
fn bomb(locals: usize, loops: usize) -> Vec<u8> {
    let mut body = format!("(local{})", " i32".repeat(locals));
    body.push_str(&"loop ".repeat(loops));
    for local in 0..locals {
        write!(body, "(local.set {local} (i32.add (local.get {local}) (i32.const 1)))").unwrap();
    }
    body.push_str(&"(br_if 0 (local.get 0)) end ".repeat(loops));
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "describe") (result i32) (i32.const 0))
                (func (export "bomb") {body}))
            (core instance $i (instantiate $m))
            (func $describe (result string) (canon lift (core func $i "describe") (memory (core memory $i "memory"))))
            (instance $manifest (export "describe" (func $describe)))
            (export "sluicegate:connector/manifest@0.1.0" (instance $manifest)))"#
    );
    wat::parse_str(text).unwrap()
}

/// A folder with a bomb that takes minutes, and a connector that only cannot describe itself.
fn folder() -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("bomb.wasm"), bomb(4_000, 4_000)).unwrap();
    fs::write(bench.path("dud.wasm"), bomb(1, 1)).unwrap();
    bench
}

#[test]
fn each_limit_of_compiling_refuses_with_its_name() {
    let bench = folder();
    for (limits, wanted) in [
        (["--compile-seconds", "1"], "it needs more than 1 s (--compile-seconds)"),
        (["--compile-cpu-seconds", "1"], "it needs more than 1 s on a processor (--compile-cpu-seconds)"),
        (["--compile-mib", "200"], "it needs more than 200 MiB of memory (--compile-mib)"),
    ] {
        for command in [&["plugin", "install", "bomb.wasm"][..], &["plugin", "test", "bomb.wasm"]] {
            let ended = bench.run(&[command, &limits].concat());
            assert_eq!(ended.code, 1, "{command:?}\n{}{}", ended.out, ended.err);
            assert!(ended.err.contains(wanted), "{command:?}: {wanted:?} is missing in\n{}", ended.err);
        }
    }
    let dud = bench.run(&["plugin", "install", "dud.wasm"]);
    assert!(dud.err.contains("the manifest is not valid"), "it was compiled: {}", dud.err);
}

#[test]
fn a_host_goes_on_while_a_bomb_is_compiled() {
    let bench = folder();
    let host = Host::start_with(&bench, &["--compile-seconds", "3"]);
    let pid = host.pid();
    let refused = thread::scope(|scope| {
        let install = scope.spawn(|| bench.run(&["plugin", "install", "bomb.wasm"]));
        let compiler = wait_for("the compiler", || compilers_of(pid).pop());
        wait_for("its place behind all others", || (niceness(compiler)? == 19).then_some(()));
        assert!(host.get("/healthz").starts_with("HTTP/1.1 200"), "the host answers meanwhile");
        install.join().unwrap()
    });
    assert!(refused.err.contains("it needs more than 3 s (--compile-seconds)"), "{}", refused.err);
    assert_eq!(compilers_of(pid), Vec::<u32>::new(), "nothing is left of it");
    let dud = bench.run(&["plugin", "install", "dud.wasm"]);
    assert!(dud.err.contains("the manifest is not valid"), "{}", dud.err);
    assert_eq!(host.end().0, 0);
}

#[test]
fn compilers_end_with_their_host() {
    let bench = folder();
    let host = Host::start(&bench);
    let pid = host.pid();
    thread::scope(|scope| {
        let install = scope.spawn(|| bench.run(&["plugin", "install", "bomb.wasm"]));
        let compiler = wait_for("the compiler", || compilers_of(pid).pop());
        host.kill();
        wait_for("the compiler's end", || (!is_compiling(compiler)).then_some(()));
        assert_ne!(install.join().unwrap().code, 0);
    });
}

#[test]
fn one_component_is_compiled_at_a_time_and_once() {
    let bench = folder();
    let host = Host::start_with(&bench, &["--compile-seconds", "2"]);
    let pid = host.pid();
    let mut seen = std::collections::BTreeSet::new();
    thread::scope(|scope| {
        let installs: Vec<_> = (0..4).map(|_| scope.spawn(|| bench.run(&["plugin", "install", "bomb.wasm"]))).collect();
        while installs.iter().any(|install| !install.is_finished()) {
            let compilers = compilers_of(pid);
            assert!(compilers.len() <= 1, "{compilers:?} at the same time");
            seen.extend(compilers);
            thread::sleep(Duration::from_millis(5));
        }
        for install in installs {
            assert!(install.join().unwrap().err.contains("--compile-seconds"), "each hears the cause");
        }
    });
    // Whoever waits meanwhile shares the refusal (`sandbox::loads`); who comes later tries again.
    assert!(!seen.is_empty(), "nobody compiled it");
}

fn wait_for<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not come");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The processes that compile for this one.
fn compilers_of(parent: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|pid| field(*pid, 1) == Some(parent.into()) && is_compiling(*pid)).collect()
}

fn is_compiling(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains("compile-component")
}

fn niceness(pid: u32) -> Option<i64> {
    field(pid, 16)
}

/// A number after the name in the kernel's line about a process (proc_pid_stat(5)).
fn field(pid: u32, index: usize) -> Option<i64> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit_once(") ")?.1.split(' ').nth(index)?.parse().ok()
}
