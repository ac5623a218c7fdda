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
}

impl Stage {
    /// Loads the component, lets it describe itself if that is wanted, and calls its
    /// action as a connector that may do what the neighbour may, for 50 ms.
    ///
    /// # Errors
    /// The host panicked, or hangs.
    ///
    /// # Panics
    /// When the neighbour cannot be loaded.
    pub async fn attempt(self: &Arc<Self>, wasm: Vec<u8>, describe: bool) -> Result<Attempt, String> {
        let stage = self.clone();
        let attempt = tokio::spawn(async move { stage.try_all(wasm, describe).await });
        match tokio::time::timeout(PATIENCE, attempt).await {
            Ok(Ok(attempt)) => Ok(attempt),
            Ok(Err(panic)) => Err(format!("the host panicked: {panic}")),
            Err(_) => Err(format!("the host hangs: nothing came of it in {} s", PATIENCE.as_secs())),
        }
    }

    async fn try_all(&self, wasm: Vec<u8>, describe: bool) -> Attempt {
        let sandbox = self.sandbox.clone();
        let loading = tokio::task::spawn_blocking(move || sandbox.load(&wasm));
        let plugin = match loading.await.expect("loading must not panic") {
            Ok(plugin) => plugin,
            Err(error) => return Attempt { load: Problem::from(error).code, describe: None, call: None },
        };
        let describe = match describe {
            true => Some(match self.sandbox.describe(&plugin).await {
                Ok(_) => "described".to_owned(),
                Err(problems) => problems[0].code.clone(),
            }),
            false => None,
        };
        let call = match plugin.exports().actions {
            true => {
                let act = Act::new(self, "echo").limits("cpu_ms = 50\nwall_ms = 5000\nmemory_bytes = 16777216");
                Some(kind(act.run_as(&plugin).await.outcome.err()))
            }
            false => None,
        };
        Attempt { load: "loaded".to_owned(), describe, call }
    }
}

fn kind(failure: Option<Failure>) -> String {
    match failure {
        None => "answered".to_owned(),
        Some(Failure::LimitExceeded { which, .. }) => format!("limit {which}"),
        Some(other) => other.to_problem().code,
    }
}
