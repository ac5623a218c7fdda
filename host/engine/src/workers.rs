//! How many runs are worked on at once, and who has a claim to a place.
//!
//! Most places are for the queue. An eighth is for senders that wait for their
//! answer, so that a backlog does not make them wait behind it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Places to work at. The semaphores are never closed.
pub(crate) struct Workers {
    shared: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    shared: usize,
    reserved: usize,
}

impl Counts {
    /// One of eight is kept for senders that wait, and at least one unless it is the
    /// only one.
    fn of(workers: usize) -> Self {
        let workers = workers.max(1);
        let reserved = (workers / 8).max(1).min(workers - 1);
        Self { shared: workers - reserved, reserved }
    }
}

impl Workers {
    pub(crate) fn new(workers: usize) -> Self {
        let counts = Counts::of(workers);
        let semaphore = |count| Arc::new(Semaphore::new(count));
        Self { shared: semaphore(counts.shared), reserved: semaphore(counts.reserved), counts }
    }

    /// Places for the queue.
    pub(crate) fn shared(workers: usize) -> usize {
        Counts::of(workers).shared
    }

    /// A place for a job of the queue.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.shared.clone().acquire_owned().await.ok()
    }

    /// A place for a sender that waits: a reserved one, or any. None: time was up.
    pub(crate) async fn place_until(&self, until: Instant) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            place = self.reserved.clone().acquire_owned() => place.ok(),
            place = self.shared.clone().acquire_owned() => place.ok(),
            () = tokio::time::sleep_until(until) => None,
        }
    }

    /// Resolves once nobody works.
    pub(crate) async fn idle(&self) {
        for (semaphore, count) in [(&self.shared, self.counts.shared), (&self.reserved, self.counts.reserved)] {
            // Never closed: there is nothing to fail.
            let _ = semaphore.acquire_many(u32::try_from(count).unwrap_or(u32::MAX)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_is_reserved_and_somebody_always_serves_the_queue() {
        for (workers, shared, reserved) in [(1, 1, 0), (2, 1, 1), (4, 3, 1), (32, 28, 4), (64, 56, 8), (0, 1, 0)] {
            assert_eq!(Counts::of(workers), Counts { shared, reserved }, "{workers}");
        }
    }

    #[tokio::test]
    async fn a_sender_that_waits_gets_a_place_while_the_queue_has_all_of_its_own() {
        let workers = Workers::new(8);
        let mut taken = Vec::new();
        for _ in 0..7 {
            taken.push(workers.place().await.expect("a place"));
        }
        let soon = Instant::now() + std::time::Duration::from_millis(1);
        let reserved = workers.place_until(soon).await;
        assert!(reserved.is_some());
        assert!(workers.place_until(soon).await.is_none(), "there are eight places and no ninth");
        taken.pop();
        assert!(workers.place_until(soon).await.is_some());
    }
}
