//! A component that nobody knows: loaded, described and called, whatever it is.

use std::sync::Arc;
use std::time::Duration;

use model::{Failure, Problem};

use crate::act::Act;
use crate::stage::Stage;

/// Nothing here takes longer, on a machine that does anything else besides: what does
/// hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of a component, in the words that are counted.
#[derive(Debug)]
pub struct Attempt {
    /// `loaded`, or the code of the refusal.
    pub load: String,
    /// `described`, or the code of the first problem; none when it was not asked.
    pub describe: Option<String>,
    /// `answered`, or the kind of the failure, with the limit's name if it is one; none
    /// when it could not be called.
    pub call: Option<String>,
    /// Whether the call wrote a line into its log: a guest that does so first has begun.
    pub wrote: bool,
}

impl Stage {
    /// Loads the component, lets it describe itself if that is wanted, and calls its
    /// action as a connector that may do what the neighbour may, for 50 ms.
    ///
    /// # Errors
    /// The host panicked, hangs, or failed in a way that is no guest's doing.
    ///
    /// # Panics
    /// When the neighbour cannot be loaded.
    pub async fn attempt(self: &Arc<Self>, wasm: Vec<u8>, describe: bool) -> Result<Attempt, String> {
        let stage = self.clone();
        let attempt = tokio::spawn(async move { stage.try_all(wasm, describe).await });
        match tokio::time::timeout(PATIENCE, attempt).await {
            Ok(Ok(attempt)) => attempt,
            Ok(Err(panic)) => Err(format!("the host panicked: {panic}")),
            Err(_) => Err(format!("the host hangs: nothing came of it in {} s", PATIENCE.as_secs())),
        }
    }

    async fn try_all(&self, wasm: Vec<u8>, describe: bool) -> Result<Attempt, String> {
        let sandbox = self.sandbox.clone();
        let loading = tokio::task::spawn_blocking(move || sandbox.load(&wasm));
        let plugin = match loading.await.expect("loading must not panic") {
            Ok(plugin) => plugin,
            Err(error) => {
                let load = Problem::from(error).code;
                return Ok(Attempt { load, describe: None, call: None, wrote: false });
            }
        };
        let describe = match describe {
            true => Some(match self.sandbox.describe(&plugin).await {
                Ok(_) => "described".to_owned(),
                Err(problems) => problems[0].code.clone(),
            }),
            false => None,
        };
        let report = match plugin.exports().actions {
            true => {
                let act = Act::new(self, "echo").limits("cpu_ms = 50\nwall_ms = 5000\nmemory_bytes = 16777216");
                Some(act.run_as(&plugin).await)
            }
            false => None,
        };
        let wrote = report.as_ref().is_some_and(|report| !report.log.is_empty());
        let call = report.map(|report| kind(report.outcome.err())).transpose()?;
        Ok(Attempt { load: "loaded".to_owned(), describe, call, wrote })
    }
}

/// The failure in a word, if a guest can have brought it about.
fn kind(failure: Option<Failure>) -> Result<String, String> {
    match failure {
        None => Ok("answered".to_owned()),
        Some(Failure::LimitExceeded { which, .. }) => Ok(format!("limit {which}")),
        Some(
            failure @ (Failure::Unavailable { .. }
            | Failure::MayHaveHappened { .. }
            | Failure::TimedOut { .. }
            | Failure::Expression { .. }
            | Failure::Stopped { .. }),
        ) => Err(format!("the host failed by itself: {failure:?}")),
        Some(other) => Ok(other.to_problem().code),
    }
}
