//! Room in the pool, and the line of calls that wait for it.
//!
//! Owns the count of both. Nobody waits for a place in the line: a call that finds it
//! full is told so at once, and one that is still in it at its deadline is told that.
//! Room goes to whoever has waited longest.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use model::Failure;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;

/// As much room as the pool has, and a line of bounded length before it.
pub(crate) struct Room {
    calls: Semaphore,
    calls_max: u32,
    waiting: AtomicU32,
    waiting_max: u32,
}

/// Why a call got no room. Nothing of it was begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Busy {
    /// It was never even in the line.
    #[error("the host was busy: calls under way {calls_max}, waiting for room {waiting_max}")]
    LineFull { calls_max: u32, waiting_max: u32 },
    /// Its time was over before its turn came.
    #[error("the host was busy with other calls for {waited_ms} ms")]
    NoTurn { waited_ms: u64 },
}

impl From<Busy> for Failure {
    /// Worth another try: nothing is wrong with the call.
    fn from(busy: Busy) -> Self {
        Self::Transient { message: busy.to_string() }
    }
}

/// A place in the line, until it is dropped.
struct Place<'a>(&'a Room);

impl Room {
    pub(crate) fn new(calls_max: u32, waiting_max: u32) -> Self {
        Self { calls: Semaphore::new(calls_max as usize), calls_max, waiting: AtomicU32::new(0), waiting_max }
    }

    /// Room for one instance, until what comes back is dropped.
    ///
    /// # Errors
    /// The line is full, or the deadline comes before the call's turn.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Busy> {
        if let Ok(permit) = self.calls.try_acquire() {
            return Ok(permit);
        }
        let began = Instant::now();
        let _place = self.line_up()?;
        match timeout_at(deadline.into(), self.calls.acquire()).await {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_) => {
                let waited_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                Err(Busy::NoTurn { waited_ms })
            }
        }
    }

    fn line_up(&self) -> Result<Place<'_>, Busy> {
        let one_more = |waiting: u32| (waiting < self.waiting_max).then(|| waiting + 1);
        match self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more) {
            Ok(_) => Ok(Place(self)),
            Err(_) => Err(Busy::LineFull { calls_max: self.calls_max, waiting_max: self.waiting_max }),
        }
    }

    /// Calls that it has room for.
    pub(crate) fn calls_max(&self) -> u32 {
        self.calls_max
    }

    /// Calls that could begin now.
    pub(crate) fn free(&self) -> usize {
        self.calls.available_permits()
    }

    /// Calls in the line.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(600)
    }

    #[tokio::test]
    async fn the_line_is_bounded_and_moves() {
        let room = Room::new(2, 2);
        let (first, _second) = (room.enter(far()).await.expect("room"), room.enter(far()).await.expect("room"));
        let mut third = pin!(room.enter(far()));
        let mut fourth = pin!(room.enter(far()));
        assert!(third.as_mut().now_or_never().is_none() && fourth.as_mut().now_or_never().is_none());
        assert_eq!((room.free(), room.waiting()), (0, 2));
        let fifth = room.enter(far()).await.map(drop);
        assert_eq!(fifth, Err(Busy::LineFull { calls_max: 2, waiting_max: 2 }));
        drop(first);
        assert!(fourth.as_mut().now_or_never().is_none(), "who came first goes first");
        let third = third.await.expect("its turn");
        assert_eq!((room.free(), room.waiting()), (0, 1));
        drop(third);
        drop(fourth.await.expect("its turn"));
        assert_eq!((room.free(), room.waiting()), (1, 0));
    }

    #[tokio::test]
    async fn leaving_the_line_gives_the_place_back() {
        let room = Room::new(1, 1);
        let held = room.enter(far()).await.expect("room");
        for _ in 0..3 {
            let mut waiting = Box::pin(room.enter(far()));
            assert!(waiting.as_mut().now_or_never().is_none());
            drop(waiting);
        }
        let late = room.enter(Instant::now()).await.map(drop);
        assert!(matches!(late, Err(Busy::NoTurn { .. })), "{late:?}");
        assert_eq!(room.waiting(), 0);
        drop(held);
        assert_eq!(room.free(), 1);
    }

    #[test]
    fn each_is_told_apart() {
        let told = |busy: Busy| match Failure::from(busy) {
            Failure::Transient { message } => message,
            other => panic!("{other:?}"),
        };
        let full = told(Busy::LineFull { calls_max: 256, waiting_max: 1_024 });
        assert_eq!(full, "the host was busy: calls under way 256, waiting for room 1024");
        assert_eq!(told(Busy::NoTurn { waited_ms: 30 }), "the host was busy with other calls for 30 ms");
    }
}
