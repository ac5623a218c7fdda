//! Compiling in a child: a component that makes the compiler eat memory or time
//! takes a process with it that nobody misses.
//!
//! The parent writes the component to the child's standard input and reads machine
//! code from its standard output. Limits: data 2 GiB, processor 120 s.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, setrlimit};
use sandbox::{Compiler, LoadError};

use crate::exit::Exit;

/// What the child may allocate: Python's runtime takes 1.1 GiB to compile.
const DATA_BYTES_MAX: u64 = 2 << 30;
/// All of its threads' time together. Python's runtime takes 60 s on a slow machine.
const CPU_SECONDS_MAX: u64 = 120;
/// The same as the sandbox's own.
const WASM_BYTES_MAX: usize = api::PLUGIN_BYTES_MAX;
/// The component is at fault, not the compiler.
const MALFORMED: i32 = 1;

/// Compiles in children of this program.
pub(crate) fn in_child() -> Compiler {
    Arc::new(|wasm| {
        let output = run(wasm).map_err(|error| LoadError::Compile(format!("the compiling process: {error}")))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match output.status.code() {
            Some(MALFORMED) => Err(LoadError::Malformed(told)),
            Some(_) => Err(LoadError::Compile(told)),
            None => Err(LoadError::Compile(format!(
                "it needs more than {CPU_SECONDS_MAX} s or {} GiB to compile ({})",
                DATA_BYTES_MAX >> 30,
                output.status
            ))),
        }
    })
}

fn run(wasm: &[u8]) -> std::io::Result<Output> {
    let mut child = spawn()?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // Written beside reading, since pipes are short. A child that ends early
        // says why itself.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(wasm)));
        child.wait_with_output()
    })
}

fn spawn() -> std::io::Result<Child> {
    // Still this program when its file was replaced by an upgrade.
    let program = Path::new("/proc/self/exe");
    let program = if program.exists() { program.to_owned() } else { std::env::current_exe()? };
    let mut command = Command::new(program);
    command.arg("compile-component").env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// The child's side.
pub(crate) fn child() -> Exit {
    let limit = |resource, most: u64| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    for (resource, most) in [(Resource::Data, DATA_BYTES_MAX), (Resource::Cpu, CPU_SECONDS_MAX), (Resource::Core, 0)] {
        if let Err(error) = limit(resource, most) {
            eprintln!("the compiler's limits cannot be set: {error}");
            return Exit::Usage;
        }
    }
    let mut wasm = Vec::new();
    if let Err(error) = std::io::stdin().take(WASM_BYTES_MAX as u64 + 1).read_to_end(&mut wasm) {
        eprintln!("the component cannot be read: {error}");
        return Exit::Usage;
    }
    match sandbox::precompile(&wasm, WASM_BYTES_MAX) {
        Ok(code) => match std::io::stdout().write_all(&code) {
            Ok(()) => Exit::Done,
            Err(_) => Exit::Usage,
        },
        Err(LoadError::Malformed(why)) => {
            eprintln!("{why}");
            Exit::Failed
        }
        Err(error) => {
            eprintln!("{error}");
            Exit::Usage
        }
    }
}
