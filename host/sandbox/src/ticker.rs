//! The thread that advances the engine's epoch, so that guests can be interrupted.
//!
//! A thread of its own: a timer on the async runtime would be starved by the very
//! guests it has to interrupt. It sleeps for good while no call is active.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// Ticks without a call before the thread parks. Parking at once would cost every
/// lone call a wake-up.
const IDLE_TICKS_MAX: u32 = 40;

struct Shared {
    active: AtomicUsize,
    stop: AtomicBool,
}

/// The running thread; stops when dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    join: Option<JoinHandle<()>>,
}

/// While it lives, the epoch advances.
pub(crate) struct Active<'a>(&'a Ticker);

impl Ticker {
    /// Starts the thread.
    pub(crate) fn start(engine: &Engine, tick: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { active: AtomicUsize::new(0), stop: AtomicBool::new(false) });
        let (engine, seen) = (engine.clone(), shared.clone());
        let join = std::thread::Builder::new().name("epoch".to_owned()).spawn(move || run(&engine, &seen, tick))?;
        Ok(Self { shared, thread: join.thread().clone(), join: Some(join) })
    }

    /// Says that a call is active.
    pub(crate) fn enter(&self) -> Active<'_> {
        if self.shared.active.fetch_add(1, Ordering::AcqRel) == 0 {
            // A store to a flag, unless the thread is parked.
            self.thread.unpark();
        }
        Active(self)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.shared.active.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.unpark();
        if let Some(join) = self.join.take() {
            let _ended = join.join();
        }
    }
}

fn run(engine: &Engine, shared: &Shared, tick: Duration) {
    let mut idle = 0;
    while !shared.stop.load(Ordering::Acquire) {
        if shared.active.load(Ordering::Acquire) > 0 {
            idle = 0;
        } else if idle < IDLE_TICKS_MAX {
            idle += 1;
        } else {
            // A call that began since then has left a token: `park` returns at once.
            std::thread::park();
            continue;
        }
        std::thread::sleep(tick);
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_with_and_without_calls() {
        let engine = Engine::new(&crate::engine::base()).expect("an engine");
        let ticker = Ticker::start(&engine, Duration::from_micros(10)).expect("a thread");
        drop(ticker.enter());
        let first = ticker.enter();
        let second = ticker.enter();
        drop((first, second));
        assert_eq!(ticker.shared.active.load(Ordering::Acquire), 0);
        drop(ticker);
    }
}
