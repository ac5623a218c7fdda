//! Compiling in a child: a component that makes the compiler eat memory or time
//! takes a process with it that nobody misses.
//!
//! The parent writes the component's length and the component to the child's standard
//! input, keeps that open, and reads machine code from its standard output. The child
//! ends when its standard input does: it never outlives its parent, however that ends.
//! One component is compiled at a time, on every processor, behind everything else that
//! the machine does. How it ends is one refusal, which says the limit that was reached.

mod child;

use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use sandbox::{Compiler, LoadError};

pub(crate) use child::{ChildLimits, child};

/// Machine code of one component. 512 MiB: what the code cache keeps at most.
const CODE_BYTES_MAX: usize = 512 << 20;
/// What is kept of the child's words: a reason is one line.
const TOLD_BYTES_MAX: usize = 4 << 10;
/// Between two looks whether a child that has closed its output has ended.
const LOOK: Duration = Duration::from_millis(2);
/// The component is at fault, not the compiler.
const MALFORMED: i32 = 1;

/// What compiling one component may take.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct CompileLimits {
    /// Memory for compiling one connector, in MiB
    // Python's runtime takes 1.1 GiB.
    #[arg(long, global = true, env = "SLUICE_COMPILE_MIB", value_name = "N", default_value_t = 2_048)]
    #[arg(hide_short_help = true, hide_env_values = true)]
    compile_mib: u64,
    /// Processor time for compiling one connector, in seconds
    // Python's runtime takes 60 s on a slow machine.
    #[arg(long, global = true, env = "SLUICE_COMPILE_CPU_SECONDS", value_name = "N", default_value_t = 120)]
    #[arg(hide_short_help = true, hide_env_values = true)]
    compile_cpu_seconds: u64,
    /// Time for compiling one connector, from start to end, in seconds
    // Whatever else the machine has to do: compiling stands behind it.
    #[arg(long, global = true, env = "SLUICE_COMPILE_SECONDS", value_name = "N", default_value_t = 300)]
    #[arg(hide_short_help = true, hide_env_values = true)]
    compile_seconds: u64,
}

/// How a child ended, and what it said.
struct Ended {
    code: Vec<u8>,
    told: String,
    end: End,
}

/// Why a child ended.
enum End {
    /// By itself.
    Itself(ExitStatus),
    /// The parent ended it: its time was over.
    Late,
    /// The parent ended it: it wrote too much.
    TooMuch,
}

/// Compiles in children of this program.
pub(crate) fn in_child(limits: CompileLimits) -> Compiler {
    let turn = Mutex::new(());
    Arc::new(move |wasm| {
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = run(wasm, &limits);
        limits.judge(ended.map_err(|error| LoadError::Compile(format!("the compiling process: {error}")))?)
    })
}

impl CompileLimits {
    fn judge(&self, ended: Ended) -> Result<Vec<u8>, LoadError> {
        let Ended { code, told, end } = ended;
        let told_of = |what: String| if told.is_empty() { what } else { format!("{what} ({told})") };
        let refused = match end {
            End::Itself(status) if status.success() => return Ok(code),
            End::Late => format!("it needs more than {} s (--compile-seconds)", self.compile_seconds),
            End::TooMuch => format!("its machine code has more than {} MiB", CODE_BYTES_MAX >> 20),
            End::Itself(status) => match status.code() {
                Some(MALFORMED) => return Err(LoadError::Malformed(told)),
                Some(_) => told,
                None => told_of(self.by_signal(status)),
            },
        };
        Err(LoadError::Compile(refused))
    }

    /// The kernel ends a process whose time is over by one of two signals; one that gets
    /// no memory ends itself by another.
    fn by_signal(&self, status: ExitStatus) -> String {
        use std::os::unix::process::ExitStatusExt as _;
        let processor = [rustix::process::Signal::KILL, rustix::process::Signal::XCPU];
        if status.signal().is_some_and(|signal| processor.iter().any(|of| of.as_raw() == signal)) {
            let seconds = self.compile_cpu_seconds;
            return format!("it needs more than {seconds} s on a processor (--compile-cpu-seconds), {status}");
        }
        format!("it needs more than {} MiB of memory (--compile-mib), {status}", self.compile_mib)
    }
}

fn run(wasm: &[u8], limits: &CompileLimits) -> std::io::Result<Ended> {
    let until = Instant::now() + Duration::from_secs(limits.compile_seconds);
    let mut child = spawn(limits)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (done, all_read) = channel();
    let (code, told, end) = thread::scope(|scope| {
        // Written beside reading, since pipes are short. Held until the child has ended:
        // its end is the child's.
        let stdin = scope.spawn(move || hand_over(stdin, wasm));
        let code = scope.spawn({
            let done = done.clone();
            move || keep(stdout, CODE_BYTES_MAX, &done)
        });
        let told = scope.spawn(move || keep_first(stderr));
        let end = wait(&mut child, until, &all_read);
        drop(stdin.join());
        (code.join(), told.join(), end)
    });
    let told = String::from_utf8_lossy(&told.unwrap_or_default()).trim().to_owned();
    Ok(Ended { code: code.unwrap_or_default(), told, end: end? })
}

fn spawn(limits: &CompileLimits) -> std::io::Result<Child> {
    // Still this program when its file was replaced by an upgrade.
    let program = Path::new("/proc/self/exe");
    let program = if program.exists() { program.to_owned() } else { std::env::current_exe()? };
    let mut command = Command::new(program);
    command.arg("compile-component").env_clear();
    command.args(["--data-mib", &limits.compile_mib.to_string()]);
    command.args(["--cpu-seconds", &limits.compile_cpu_seconds.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Writes the component. A child that ends early says why itself.
fn hand_over(stdin: Option<ChildStdin>, wasm: &[u8]) -> Option<ChildStdin> {
    let mut stdin = stdin?;
    let length = (wasm.len() as u64).to_le_bytes();
    let _ended = stdin.write_all(&length).and_then(|()| stdin.write_all(wasm));
    Some(stdin)
}

/// Everything up to the limit; says whether that was all.
fn keep(source: Option<impl Read>, bytes_max: usize, done: &Sender<bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = source.map(|source| source.take(bytes_max as u64 + 1).read_to_end(&mut bytes));
    // Nobody listens any more when the time was over.
    let _late = done.send(read.is_none_or(|read| read.is_ok()) && bytes.len() <= bytes_max);
    bytes
}

/// The first words; the others are read and forgotten, so that nobody waits for a reader.
fn keep_first(source: Option<impl Read>) -> Vec<u8> {
    let Some(mut source) = source else { return Vec::new() };
    let mut bytes = Vec::new();
    let _broken = source.by_ref().take(TOLD_BYTES_MAX as u64).read_to_end(&mut bytes);
    let _broken = std::io::copy(&mut source, &mut std::io::sink());
    bytes
}

/// Waits for the child's end, or ends it.
fn wait(child: &mut Child, until: Instant, all_read: &Receiver<bool>) -> std::io::Result<End> {
    let left = || until.saturating_duration_since(Instant::now());
    match all_read.recv_timeout(left()) {
        Ok(true) => {}
        Ok(false) => return kill(child, End::TooMuch),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return kill(child, End::Late),
    }
    while child.try_wait()?.is_none() {
        if left().is_zero() {
            return kill(child, End::Late);
        }
        thread::sleep(LOOK);
    }
    child.wait().map(End::Itself)
}

fn kill(child: &mut Child, end: End) -> std::io::Result<End> {
    child.kill()?;
    child.wait()?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const LIMITS: CompileLimits = CompileLimits { compile_mib: 300, compile_cpu_seconds: 20, compile_seconds: 10 };

    fn judged(code: &[u8], told: &str, end: End) -> Result<Vec<u8>, LoadError> {
        LIMITS.judge(Ended { code: code.to_owned(), told: told.to_owned(), end })
    }

    #[test]
    fn each_end_has_its_cause() {
        let exit = |code: i32| End::Itself(ExitStatus::from_raw(code << 8));
        let signal = |number: i32| End::Itself(ExitStatus::from_raw(number));
        assert_eq!(judged(b"code", "", exit(0)), Ok(b"code".to_vec()));
        assert_eq!(judged(b"", "no", exit(1)), Err(LoadError::Malformed("no".to_owned())));
        for (end, wanted) in [
            (exit(2), "told"),
            (signal(9), "it needs more than 20 s on a processor (--compile-cpu-seconds), signal: 9 (SIGKILL) (told)"),
            (signal(6), "it needs more than 300 MiB of memory (--compile-mib), signal: 6 (SIGABRT) (told)"),
            (End::Late, "it needs more than 10 s (--compile-seconds)"),
            (End::TooMuch, "its machine code has more than 512 MiB"),
        ] {
            assert_eq!(judged(b"code", "told", end), Err(LoadError::Compile(wanted.to_owned())));
        }
    }

    #[test]
    fn what_is_read_is_bounded() {
        let (done, all_read) = channel();
        for (bytes, whole) in [(0, true), (100, true), (101, false), (10_000, false)] {
            let kept = keep(Some(vec![7; bytes].as_slice()), 100, &done);
            assert_eq!((kept.len(), all_read.recv()), (bytes.min(101), Ok(whole)));
        }
        let mut flood = std::io::repeat(b'x').take(2 << 20);
        assert_eq!(keep_first(Some(&mut flood)).len(), TOLD_BYTES_MAX);
        assert_eq!(flood.read(&mut [0]).expect("memory"), 0, "all of it was read");
    }
}
