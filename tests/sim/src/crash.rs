//! The switch that ends a life of the host.
//!
//! Invariant: once it is pulled, nothing of that life reaches the world any more:
//! whoever is about to have an effect asks first, and stays asleep for ever.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The process is killed; what it wrote is in the page cache.
    Kill,
    /// Power is lost; unsynced bytes survive as chance wants it.
    PowerLoss,
    /// It is told to stop, and drains.
    Drain,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Switch {
    pulled: Mutex<Option<End>>,
    changed: Notify,
}

impl Switch {
    fn pulled(&self) -> MutexGuard<'_, Option<End>> {
        self.pulled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the life; the first reason counts, and a drain may still be cut short.
    pub(crate) fn pull(&self, end: End) {
        let mut pulled = self.pulled();
        if matches!(*pulled, None | Some(End::Drain)) {
            *pulled = Some(end);
        }
        drop(pulled);
        self.changed.notify_waiters();
    }

    /// A new life may begin.
    pub(crate) fn reset(&self) {
        *self.pulled() = None;
    }

    /// Whether nothing may have an effect any more. Draining still may.
    pub(crate) fn is_down(&self) -> bool {
        matches!(*self.pulled(), Some(End::Kill | End::PowerLoss))
    }

    /// Sleeps for ever once the host is down.
    pub(crate) async fn hold(&self) {
        if self.is_down() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for an end; `draining` waits for a harder one.
    pub(crate) async fn down(&self, draining: bool) -> End {
        loop {
            let changed = self.changed.notified();
            let pulled = *self.pulled();
            match pulled {
                Some(End::Drain) if draining => {}
                Some(end) => return end,
                None => {}
            }
            changed.await;
        }
    }
}
