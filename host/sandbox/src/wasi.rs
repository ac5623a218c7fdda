//! WASI 0.2 as connectors see it: no arguments, no environment, no files, no network.
//!
//! Made when a guest first asks for any of it: most calls never do. Standard output
//! goes to the call's log. While a connector describes itself, clocks stand still and
//! randomness is the same every time.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtx};

use crate::log::{CallLog, LogLine, Stream};

/// What one `get-random-bytes` may ask for; more traps. 1 MiB: keys and seeds are
/// a few dozen bytes.
const RANDOM_BYTES_MAX: u64 = 1 << 20;
/// One write to standard output.
const WRITE_BYTES_MAX: usize = 64 << 10;
/// 2020-01-01 UTC, the day on which every connector describes itself.
const FIXED_TIME: Duration = Duration::from_secs(1_577_836_800);

/// The log of a call, and when the call began.
#[derive(Clone)]
pub(crate) struct SharedLog {
    /// Locked for moments only.
    log: Arc<Mutex<CallLog>>,
    began: Instant,
}

impl SharedLog {
    pub(crate) fn new(limit: u64, began: Instant) -> Self {
        Self { log: Arc::new(Mutex::new(CallLog::new(limit))), began }
    }

    /// Works on the log, with the offset of now.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut CallLog, u64) -> T) -> T {
        work(&mut self.lock(), millis(self.began.elapsed()))
    }

    /// Everything that was written, when the call has taken this long.
    pub(crate) fn finish(&self, passed: Duration, show: impl Fn(&str) -> String) -> Vec<LogLine> {
        self.lock().finish(millis(passed), show)
    }

    /// The last words on standard error, as they came.
    pub(crate) fn tail(&self) -> String {
        self.lock().tail()
    }

    fn lock(&self) -> MutexGuard<'_, CallLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(passed: Duration) -> u64 {
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

/// The context of a call, or of a description (`fixed`).
pub(crate) fn context(log: &SharedLog, fixed: bool) -> WasiCtx {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(Captured { log: log.clone(), stream: Stream::Out })
        .stderr(Captured { log: log.clone(), stream: Stream::Err })
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(RANDOM_BYTES_MAX);
    if fixed {
        builder
            .wall_clock(Fixed)
            .monotonic_clock(Fixed)
            .secure_random(fixed_random("secure"))
            .insecure_random(fixed_random("insecure"))
            .insecure_random_seed(0x5eed);
    }
    builder.build()
}

struct Fixed;

impl HostWallClock for Fixed {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        FIXED_TIME
    }
}

impl HostMonotonicClock for Fixed {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        1_000_000_000
    }
}

/// A cycle of 4 KiB, long enough that rejection sampling always ends.
fn fixed_random(name: &str) -> Deterministic {
    let block = |index: u32| Sha256::new().chain_update(name).chain_update(index.to_le_bytes()).finalize();
    Deterministic::new((0..128).flat_map(block).collect())
}

struct Captured {
    log: SharedLog,
    stream: Stream,
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Writer { log: self.log.clone(), stream: self.stream })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer { log: self.log.clone(), stream: self.stream })
    }
}

struct Writer {
    log: SharedLog,
    stream: Stream,
}

impl Writer {
    fn keep(&self, bytes: &[u8]) {
        self.log.with(|log, offset_ms| log.write(offset_ms, self.stream, bytes));
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.keep(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
