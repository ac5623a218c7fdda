//! Processor time of one call, and its turns to compute.
//!
//! Counts the time of the thread that runs the guest, in polls of its future, so
//! that waiting for the network costs a call nothing and a starved machine does not
//! punish it. Never counts less than was used, and at most a millisecond more for each
//! poll: the thread's clock costs as much as a small host call, the wall clock next to
//! nothing. Checked at every tick of the epoch. As many guests compute at once as there
//! are lanes, each until it waits for something or the epoch ticks. A call that has used
//! more than a short one ever does needs a slow lane besides, of which there are fewer, so
//! that short calls always find a free core.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::ready;
use std::time::{Duration, Instant};

use model::Digest;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::UpdateDeadline;

use crate::lanes::{Lanes, Turn};

/// What a call may use before it must take turns. 10 ms: a hundred times an
/// ordinary call.
const FAST: Duration = Duration::from_millis(10);

/// Polls shorter than this are counted by the wall clock, and a reading of the thread's
/// clock serves polls that begin this soon after it. A millisecond: a tenth of what
/// counts as slow, and fifty ordinary calls for each reading.
const CLOSE: Duration = Duration::from_millis(1);

/// Processor time of one call.
pub(crate) struct Meter {
    budget: Duration,
    lanes: Arc<Lanes>,
    slow_lanes: Arc<Lanes>,
    connector: Digest,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In polls that have ended.
    used: Duration,
    /// When the current poll began.
    began: Option<Reading>,
    /// On a slow lane: held while a slow call computes.
    turn: Option<Turn>,
    exceeded: bool,
}

impl Meter {
    /// A meter at zero, of a call of this connector.
    pub(crate) fn new(budget: Duration, lanes: Arc<Lanes>, slow_lanes: Arc<Lanes>, connector: Digest) -> Arc<Self> {
        Arc::new(Self { budget, lanes, slow_lanes, connector, state: Mutex::default() })
    }

    /// Runs a guest's future under the meter, each poll in a turn of its own.
    pub(crate) async fn run<F: Future>(&self, future: F) -> F::Output {
        let (mut future, mut place) = (pin!(future), None);
        poll_fn(|context| {
            let turn = match place.take() {
                Some(place) => Err(place),
                None => self.lanes.line_up(self.connector),
            };
            let _turn = match turn {
                Ok(turn) => turn,
                Err(waiting) => ready!(Pin::new(place.insert(waiting)).poll(context)),
            };
            place = None;
            self.lock().began = Some(Reading::close());
            let poll = future.as_mut().poll(context);
            let mut state = self.lock();
            state.used = state.used_by_now();
            state.began = None;
            state.turn = None;
            poll
        })
        .await
    }

    /// At a tick of the epoch, on the thread that runs the guest: go on or stop.
    pub(crate) fn tick(self: &Arc<Self>) -> UpdateDeadline {
        let mut state = self.lock();
        let used = state.used_by_now();
        if used >= self.budget {
            state.exceeded = true;
            return UpdateDeadline::Interrupt;
        }
        if used < FAST {
            // What struck while the call waited is no reason to send it back at once.
            let fresh = state.began.is_some_and(|began| began.at.elapsed() < CLOSE);
            return if fresh { UpdateDeadline::Continue(1) } else { UpdateDeadline::Yield(1) };
        }
        state.turn = None;
        UpdateDeadline::YieldCustom(1, Box::pin(self.clone().wait_turn()))
    }

    /// Whether the budget was used up.
    pub(crate) fn exceeded(&self) -> bool {
        self.lock().exceeded
    }

    async fn wait_turn(self: Arc<Self>) {
        tokio::task::yield_now().await;
        let turn = self.slow_lanes.enter(self.connector).await;
        self.lock().turn = Some(turn);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn used_by_now(&self) -> Duration {
        self.used + self.began.map_or(Duration::ZERO, Reading::used_since)
    }
}

/// What both clocks of a thread showed; the thread's own at most [`CLOSE`] earlier, so
/// that a difference to it is never too small.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    thread_time: Duration,
}

thread_local! {
    /// The last exact reading.
    static LAST: Cell<Option<Reading>> = const { Cell::new(None) };
}

impl Reading {
    fn exact(at: Instant) -> Self {
        let reading = Self { at, thread_time: thread_time() };
        LAST.set(Some(reading));
        reading
    }

    fn close() -> Self {
        let at = Instant::now();
        match LAST.get() {
            Some(last) if at.saturating_duration_since(last.at) < CLOSE => Self { at, ..last },
            _ => Self::exact(at),
        }
    }

    /// On the thread that made it: at least what the thread has used since.
    fn used_since(self) -> Duration {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.at);
        if passed < CLOSE {
            return passed;
        }
        passed.min(Self::exact(now).thread_time.saturating_sub(self.thread_time))
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;

    use super::*;

    fn burn(duration: Duration) {
        let start = thread_time();
        while thread_time().saturating_sub(start) < duration {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn counts_polls_and_not_waits() {
        let meter = Meter::new(Duration::from_millis(40), Lanes::new(1), Lanes::new(1), Digest::of(b"a connector"));
        let verdicts = meter
            .run(async {
                tokio::task::spawn_blocking(|| burn(Duration::from_millis(60))).await.expect("burnt elsewhere");
                let rested = meter.tick();
                burn(Duration::from_millis(5));
                let quick = meter.tick();
                burn(Duration::from_millis(10));
                let slow = meter.tick();
                burn(Duration::from_millis(30));
                (rested, quick, slow, meter.tick())
            })
            .await;
        assert!(matches!(verdicts.0, UpdateDeadline::Continue(1)));
        assert!(matches!(verdicts.1, UpdateDeadline::Yield(1)));
        assert!(matches!(verdicts.2, UpdateDeadline::YieldCustom(1, _)));
        assert!(matches!(verdicts.3, UpdateDeadline::Interrupt));
        assert!(meter.exceeded());
    }

    #[test]
    fn never_counts_too_little_and_hardly_too_much() {
        for burnt_us in [0, 100, 900, 1_100, 3_000, 12_000] {
            let began = thread_time();
            let reading = Reading::close();
            burn(Duration::from_micros(burnt_us));
            let counted = reading.used_since();
            // The kernel's two clocks may drift apart by a little.
            let least = Duration::from_micros(burnt_us) * 99 / 100;
            assert!(counted >= least, "{burnt_us} us were counted as {counted:?}");
            if counted >= CLOSE {
                let most = thread_time().saturating_sub(began) + CLOSE * 2;
                assert!(counted <= most, "{burnt_us} us, at most {most:?}, were counted as {counted:?}");
            }
        }
    }

    #[tokio::test]
    async fn turns_are_given_back_when_a_call_waits() {
        let (lanes, connector) = (Lanes::new(1), Digest::of(b"a connector"));
        let meter = Meter::new(Duration::from_secs(1), Lanes::new(1), lanes.clone(), connector);
        meter
            .run(async {
                meter.clone().wait_turn().await;
                assert!(lanes.enter(connector).now_or_never().is_none(), "the call has it");
                tokio::task::yield_now().await;
                assert!(lanes.enter(connector).now_or_never().is_some(), "given back while it waited");
            })
            .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_compute_at_once_than_there_are_lanes() {
        let (lanes, computing) = (Lanes::new(2), Arc::new(AtomicUsize::new(0)));
        let calls = (0..64_u8).map(|number| {
            let connector = Digest::of(&[number % 5]);
            let meter = Meter::new(Duration::from_secs(60), lanes.clone(), Lanes::new(1), connector);
            let computing = computing.clone();
            tokio::spawn(async move {
                let work = async {
                    for _ in 0..50 {
                        let others = computing.fetch_add(1, Ordering::SeqCst);
                        assert!(others < 2, "{others} others compute");
                        computing.fetch_sub(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                    }
                };
                // Some leave before they are done, in a line or with a turn.
                let patience = Duration::from_micros(u64::from(number) * 50);
                let within = if number.is_multiple_of(3) { patience } else { Duration::from_secs(60) };
                tokio::time::timeout(within, meter.run(work)).await.is_ok() || number.is_multiple_of(3)
            })
        });
        for call in calls.collect::<Vec<_>>() {
            assert!(call.await.expect("no panic"), "every other one ends");
        }
        let connector = Digest::of(b"another");
        assert!([lanes.enter(connector), lanes.enter(connector)].map(|it| it.now_or_never().is_some()) == [true; 2]);
    }
}
