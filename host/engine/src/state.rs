//! What connectors keep for one flow: their values, and how much they have kept.
//!
//! Owns the quota and the versions. Each write is one batch of the value and the use of
//! the whole, so that a crash cannot part them; writers of one flow take turns, so that
//! a compare-and-set compares with what it replaces. What was kept for a flow goes when
//! it is retired and nothing of it is under way.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use model::{Environment, FlowId, PluginId};
use sandbox::{Boxed, Expected, StateEntry, StateError, StateStore, Swap};
use serde::{Deserialize, Serialize};
use store::{Batch, Order, Store, Table};
use tokio::sync::Mutex;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::PAGE;
use crate::records::{RUNS_OF_FLOW, SUBSCRIPTIONS};

/// All values and keys of one connector in one flow. 1 MiB: notes, not data.
const BYTES_MAX: u64 = 1 << 20;
/// One value. 64 KiB: what a journal entry bears without being felt.
const VALUE_BYTES_MAX: u64 = 64 << 10;
/// Values of one connector in one flow.
const KEYS_MAX: u64 = 10_000;
/// Writers of different flows that share a turn wait for each other's flush.
const TURNS: usize = 64;

/// A value. Key: environment, plugin, flow, its own key.
const VALUES: Table<ValueRecord> = Table::new("connector-state");
/// How much is kept. Key: environment, plugin, flow.
const USES: Table<UseRecord> = Table::new("connector-state-use");

#[derive(Debug, Serialize, Deserialize)]
struct ValueRecord {
    version: u64,
    /// Base64: a value is bytes, a row is JSON.
    value: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct UseRecord {
    bytes: u64,
    keys: u64,
    /// The last version given to any value.
    version: u64,
}

/// Turns of those who write.
#[derive(Debug)]
pub(crate) struct StateTurns([Mutex<()>; TURNS]);

impl Default for StateTurns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

/// What one connector keeps for one flow of one environment.
pub(crate) struct ConnectorState {
    store: Arc<dyn Store>,
    turns: Arc<StateTurns>,
    owner: [String; 3],
}

impl std::fmt::Debug for ConnectorState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectorState").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl ConnectorState {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        turns: Arc<StateTurns>,
        (environment, plugin, flow): (&Environment, &PluginId, &FlowId),
    ) -> Self {
        Self { store, turns, owner: [environment.to_string(), plugin.to_string(), flow.to_string()] }
    }

    fn turn(&self) -> &Mutex<()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&self.owner);
        &self.turns.0[usize::try_from(hash % TURNS as u64).unwrap_or_default()]
    }

    fn parts<'a>(&'a self, key: &'a str) -> [&'a [u8]; 4] {
        let [environment, plugin, flow] = &self.owner;
        [environment.as_bytes(), plugin.as_bytes(), flow.as_bytes(), key.as_bytes()]
    }

    fn read(&self, key: &str) -> Result<Option<StateEntry>, StateError> {
        let Some(record) = VALUES.get(&*self.store, &self.parts(key)).map_err(failed)? else { return Ok(None) };
        let value = STANDARD_NO_PAD.decode(&record.value).map_err(failed)?;
        Ok(Some(StateEntry { value, version: record.version }))
    }

    fn read_use(&self) -> Result<UseRecord, StateError> {
        Ok(USES.get(&*self.store, &self.parts("")[..3]).map_err(failed)?.unwrap_or_default())
    }

    async fn write(&self, key: &str, expected: Expected, value: &[u8]) -> Result<Swap, StateError> {
        let bytes = value.len() as u64;
        if bytes > VALUE_BYTES_MAX {
            return Err(StateError::Limit { which: "state_value_bytes", limit: VALUE_BYTES_MAX });
        }
        let _turn = self.turn().lock().await;
        let found = self.read(key)?;
        let holds = match expected {
            Expected::Anything => true,
            Expected::Nothing => found.is_none(),
            Expected::Version(version) => found.as_ref().is_some_and(|entry| entry.version == version),
        };
        if !holds {
            return Ok(Swap::Differs(found));
        }
        let mut used = self.read_use()?.without(key, found.as_ref());
        (used.bytes, used.keys, used.version) =
            (used.bytes + key.len() as u64 + bytes, used.keys + 1, used.version + 1);
        used.check()?;
        let record = ValueRecord { version: used.version, value: STANDARD_NO_PAD.encode(value) };
        let mut batch = Batch::new();
        VALUES.put(&mut batch, &self.parts(key), &record).map_err(failed)?;
        self.commit(batch, &used).await?;
        Ok(Swap::Done(used.version))
    }

    async fn remove(&self, key: &str) -> Result<bool, StateError> {
        let _turn = self.turn().lock().await;
        let Some(found) = self.read(key)? else { return Ok(false) };
        let used = self.read_use()?.without(key, Some(&found));
        let mut batch = Batch::new();
        VALUES.delete(&mut batch, &self.parts(key));
        self.commit(batch, &used).await?;
        Ok(true)
    }

    /// Forgets everything. The row that says how much is kept goes last: what is cut short
    /// is found again.
    async fn forget(&self) -> Result<(), EngineError> {
        let _turn = self.turn().lock().await;
        let parts = self.parts("");
        let values = VALUES.key(&parts[..3]);
        loop {
            let rows = self.store.scan(&values, None, PAGE, Order::Ascending)?;
            let mut batch = Batch::new();
            rows.iter().for_each(|(key, _)| batch.delete(key));
            if rows.len() < PAGE {
                USES.delete(&mut batch, &parts[..3]);
                self.store.commit(batch).await?;
                return Ok(());
            }
            self.store.commit(batch).await?;
        }
    }

    async fn commit(&self, mut batch: Batch, used: &UseRecord) -> Result<(), StateError> {
        USES.put(&mut batch, &self.parts("")[..3], used).map_err(failed)?;
        self.store.commit(batch).await.map(|_| ()).map_err(|error| failed(EngineError::from(error)))
    }
}

impl UseRecord {
    fn without(mut self, key: &str, entry: Option<&StateEntry>) -> Self {
        if let Some(entry) = entry {
            self.bytes = self.bytes.saturating_sub((key.len() + entry.value.len()) as u64);
            self.keys = self.keys.saturating_sub(1);
        }
        self
    }

    fn check(&self) -> Result<(), StateError> {
        for (which, used, limit) in [("state_bytes", self.bytes, BYTES_MAX), ("state_keys", self.keys, KEYS_MAX)] {
            if used > limit {
                return Err(StateError::Limit { which, limit });
            }
        }
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> StateError {
    StateError::Failed(error.to_string())
}

impl StateStore for ConnectorState {
    fn get(&self, key: String) -> Boxed<'_, Result<Option<StateEntry>, StateError>> {
        Box::pin(async move { self.read(&key) })
    }

    fn set(&self, key: String, expected: Expected, value: Vec<u8>) -> Boxed<'_, Result<Swap, StateError>> {
        Box::pin(async move { self.write(&key, expected, &value).await })
    }

    fn delete(&self, key: String) -> Boxed<'_, Result<bool, StateError>> {
        Box::pin(async move { self.remove(&key).await })
    }
}

impl Engine {
    /// Forgets what connectors kept for flows that are retired, once no run of theirs and
    /// no webhook of theirs needs it any more. Call with `administration` held.
    pub(crate) async fn forget_state(&self) -> Result<(), EngineError> {
        let mut after: Option<Bytes> = None;
        loop {
            let page = self.0.store.scan(&USES.key(&[]), after.as_deref(), PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for owner in page.iter().filter_map(|(key, _)| owner(key)) {
                if self.is_over_for(&owner)? {
                    let (store, turns) = (self.0.store.clone(), self.0.state_turns.clone());
                    ConnectorState { store, turns, owner }.forget().await?;
                }
            }
        }
    }

    fn is_over_for(&self, [environment, _, flow]: &[String; 3]) -> Result<bool, EngineError> {
        let (Ok(place), Ok(id)) = (environment.parse(), flow.parse()) else { return Ok(false) };
        if self.0.flows.record(&place, &id).is_none_or(|record| record.retired.is_none()) {
            return Ok(false);
        }
        let parts = [environment.as_bytes(), flow.as_bytes()];
        let open = self.0.store.scan(&RUNS_OF_FLOW.key(&parts), None, 1, Order::Ascending)?;
        Ok(open.is_empty() && SUBSCRIPTIONS.get(&*self.0.store, &parts)?.is_none())
    }
}

/// Environment, connector and flow, from a key.
fn owner(key: &[u8]) -> Option<[String; 3]> {
    let parts = USES.parts(key)?.into_iter().map(String::from_utf8);
    parts.collect::<Result<Vec<_>, _>>().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(store: &Arc<dyn Store>, flow: &str) -> ConnectorState {
        let (environment, plugin) = ("test".parse().expect("a name"), "board".parse().expect("a name"));
        ConnectorState::new(store.clone(), Arc::default(), (&environment, &plugin, &flow.parse().expect("a name")))
    }

    fn open(folder: &std::path::Path) -> Arc<dyn Store> {
        Arc::new(store::JournalStore::open(folder, store::Options::default()).expect("a store"))
    }

    #[tokio::test]
    async fn values_are_kept_apart_and_compared_by_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        let (one, other) = (state(&store, "one"), state(&store, "other"));
        assert_eq!(one.set("k".into(), Expected::Nothing, b"a".to_vec()).await, Ok(Swap::Done(1)));
        assert_eq!(other.get("k".into()).await, Ok(None));
        let entry = StateEntry { value: b"a".to_vec(), version: 1 };
        for expected in [Expected::Nothing, Expected::Version(7)] {
            let swap = one.set("k".into(), expected, b"b".to_vec()).await;
            assert_eq!(swap, Ok(Swap::Differs(Some(entry.clone()))));
        }
        assert_eq!(one.set("k".into(), Expected::Version(1), b"b".to_vec()).await, Ok(Swap::Done(2)));
        assert_eq!(one.delete("k".into()).await, Ok(true));
        assert_eq!(one.delete("k".into()).await, Ok(false));
        assert_eq!(one.set("k".into(), Expected::Anything, Vec::new()).await, Ok(Swap::Done(3)), "never used again");
    }

    #[tokio::test]
    async fn many_at_once_count_right() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        let state = Arc::new(state(&store, "one"));
        let add = |state: Arc<ConnectorState>| async move {
            loop {
                let found = state.get("n".into()).await.expect("read");
                let count = found.as_ref().map_or(0, |entry| entry.value[0]);
                let expected = found.map_or(Expected::Nothing, |entry| Expected::Version(entry.version));
                if let Swap::Done(_) = state.set("n".into(), expected, vec![count + 1]).await.expect("kept") {
                    return;
                }
            }
        };
        let adders: Vec<_> = (0..20).map(|_| tokio::spawn(add(state.clone()))).collect();
        for adder in adders {
            adder.await.expect("added");
        }
        assert_eq!(state.get("n".into()).await.expect("read").expect("there").value, [20]);
    }

    #[tokio::test]
    async fn the_quota_holds_and_gives_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        let state = state(&store, "one");
        let full = vec![7; VALUE_BYTES_MAX as usize];
        let limit = |which, limit| Err(StateError::Limit { which, limit });
        let too_large = state.set("k".into(), Expected::Anything, [&full[..], b"x"].concat()).await;
        assert_eq!(too_large, limit("state_value_bytes", VALUE_BYTES_MAX));
        for key in 0..15 {
            state.set(format!("{key:02}"), Expected::Anything, full.clone()).await.expect("room");
        }
        assert_eq!(state.set("15".into(), Expected::Anything, full.clone()).await, limit("state_bytes", BYTES_MAX));
        state.set("00".into(), Expected::Anything, full.clone()).await.expect("replaced, not added");
        state.delete("01".into()).await.expect("removed");
        state.set("15".into(), Expected::Anything, full[..1_000].to_vec()).await.expect("room again");
    }
}
