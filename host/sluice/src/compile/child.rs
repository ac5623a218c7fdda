//! The child's side: limits first, then the component, then the compiler.

use std::io::{Read as _, Write as _};
use std::process::exit;
use std::thread;

use clap::Args;
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use sandbox::LoadError;

use crate::exit::Exit;

/// The same as the sandbox's own.
const WASM_BYTES_MAX: usize = api::PLUGIN_BYTES_MAX;
/// How far behind others it stands: all the way.
const NICE: i32 = 19;

/// What the parent lets the child have.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ChildLimits {
    /// Memory, in MiB.
    #[arg(long)]
    data_mib: u64,
    /// All of its threads' time together.
    #[arg(long)]
    cpu_seconds: u64,
}

/// Compiles what comes on standard input.
pub(crate) fn child(limits: &ChildLimits) -> Exit {
    if let Err(error) = restrain(limits) {
        eprintln!("the compiler's limits cannot be set: {error}");
        return Exit::Usage;
    }
    let wasm = match receive() {
        Ok(wasm) => wasm,
        Err(error) => {
            eprintln!("the component cannot be read: {error}");
            return Exit::Usage;
        }
    };
    if let Err(error) = thread::Builder::new().name("parent".to_owned()).spawn(end_with_parent) {
        eprintln!("no thread can be started: {error}");
        // As whatever finds no memory ends: the parent then names the limit.
        std::process::abort();
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

fn restrain(limits: &ChildLimits) -> std::io::Result<()> {
    let data_bytes = limits.data_mib.saturating_mul(1 << 20);
    for (resource, most) in [(Resource::Data, data_bytes), (Resource::Cpu, limits.cpu_seconds), (Resource::Core, 0)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    // Neither is a limit: without them others are slower, and nothing else.
    let _as_before = nice(NICE);
    let _as_before = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

fn receive() -> std::io::Result<Vec<u8>> {
    let mut stdin = std::io::stdin().lock();
    let mut length = [0; 8];
    stdin.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > WASM_BYTES_MAX {
        return Err(std::io::Error::other(format!("it has {length} bytes, more than {WASM_BYTES_MAX}")));
    }
    let mut wasm = vec![0; length];
    stdin.read_exact(&mut wasm)?;
    Ok(wasm)
}

/// The parent writes nothing more: when its end of the pipe closes, it is gone.
fn end_with_parent() {
    let mut nothing = [0];
    let _closed = std::io::stdin().lock().read(&mut nothing);
    exit(Exit::Unreachable as i32);
}
