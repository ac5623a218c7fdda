//! What a remote asked for, kept for the whole connection.
//!
//! A remote that says "not now" means the account, not the call: every call over the
//! connection waits, whichever flow makes it. The way out (`egress`) holds it; what is
//! longer than a minute is kept durably too, so that a restart does not forget it.

use model::{ConnectionId, Environment, Failure};
use sandbox::Report;
use store::{Batch, Order};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::PAGE;
use crate::records::{HOLDS, HoldRecord};

/// Shorter waits are over before a host is up again.
const KEPT_FROM_MS: u64 = 60_000;
/// The same wait seen by two calls differs by what they took.
const SAME_MS: u64 = 5_000;

impl Engine {
    /// How long calls over a connection have to wait, in milliseconds; none: they may go.
    pub(crate) fn wait_of(&self, environment: &Environment, connection: &ConnectionId) -> Option<u64> {
        self.0.egress.held_for_ms(environment, connection)
    }

    /// Takes in what a call learned: the remote's own words, or the connector's.
    pub(crate) async fn learn_wait(&self, environment: &Environment, connection: &ConnectionId, report: &Report) {
        if let Err(Failure::RateLimited { retry_after_ms: Some(ms) }) = report.outcome {
            self.0.egress.hold_for_ms(environment, connection, ms);
        }
        let Some(wait_ms) = self.wait_of(environment, connection).filter(|ms| *ms >= KEPT_FROM_MS) else { return };
        if let Err(error) = self.keep_hold(environment, connection, self.now_ms() + wait_ms).await {
            // It holds until a restart all the same.
            tracing::warn!(%connection, error = &error as &dyn std::error::Error, "a remote's wait could not be kept");
        }
    }

    async fn keep_hold(
        &self,
        environment: &Environment,
        connection: &ConnectionId,
        until_ms: u64,
    ) -> Result<(), EngineError> {
        let parts: [&[u8]; 2] = [environment.as_str().as_bytes(), connection.as_str().as_bytes()];
        let kept = HOLDS.get(&*self.0.store, &parts)?;
        if kept.is_some_and(|kept| kept.until_ms + SAME_MS >= until_ms) {
            return Ok(());
        }
        let mut batch = Batch::new();
        HOLDS.put(&mut batch, &parts, &HoldRecord { until_ms })?;
        self.0.store.commit(batch).await?;
        Ok(())
    }

    /// Holds what was held before the host stopped.
    pub(crate) fn load_holds(&self) -> Result<(), EngineError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = HOLDS.list(&*self.0.store, &[], after.as_deref(), PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.to_vec());
            for (key, hold) in page {
                let parts = HOLDS.parts(&key).unwrap_or_default();
                let mut names = parts.into_iter().filter_map(|part| String::from_utf8(part).ok());
                let (Some(environment), Some(connection)) = (names.next(), names.next()) else { continue };
                let (Ok(environment), Ok(connection)) = (environment.parse(), connection.parse()) else { continue };
                let wait_ms = hold.until_ms.saturating_sub(self.now_ms());
                if wait_ms > 0 {
                    self.0.egress.hold_for_ms(&environment, &connection, wait_ms);
                }
            }
        }
    }
}
