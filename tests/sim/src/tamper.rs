//! What broken hosts do to their own store, row by row.

use bytes::Bytes;
use store::{Batch, JournalStore, Order, ReadError, Row, Store as _, Table};

use crate::mutant::Mutant;

const INBOX: Table<()> = Table::new("inbox");
const WAITS: Table<()> = Table::new("wait");
const SCHEDULES: Table<()> = Table::new("schedule");
const SEEN: Table<()> = Table::new("seen");
const SETTLED: Table<()> = Table::new("dead-settled");
const VERSIONS: Table<()> = Table::new("flow-version");

/// Undoes a part of what was just written.
pub(crate) async fn after_commit(mutant: Mutant, store: &JournalStore) {
    match mutant {
        Mutant::DeafToCancel => forget(store, &INBOX, |value| value.contains(r#""kind":"cancel""#)).await,
        Mutant::DeafToEvent => forget(store, &INBOX, |value| value.contains(r#""kind":"signalled""#)).await,
        Mutant::DeafToDecision => forget(store, &INBOX, |value| value.contains(r#""kind":"decided""#)).await,
        Mutant::DeafToReturn => forget(store, &INBOX, |value| value.contains(r#""kind":"returned""#)).await,
        Mutant::LosesLetters => forget(store, &SETTLED, |_| true).await,
        Mutant::LeavesRows => leave(store).await,
        _ => {}
    }
}

/// What a host forgets that keeps it in memory only.
pub(crate) async fn at_start(mutant: Mutant, store: &JournalStore) {
    if mutant == Mutant::ForgetsTimes {
        forget(store, &SCHEDULES, |_| true).await;
        forget(store, &SEEN, |_| true).await;
    }
}

/// A row as the host sees it.
pub(crate) fn get(mutant: Mutant, store: &JournalStore, key: &[u8]) -> Result<Option<Bytes>, ReadError> {
    if mutant == Mutant::OtherVersion
        && let Some([environment, flow, _]) = VERSIONS.parts(key).as_deref()
    {
        // Whatever version was asked for, it is the first.
        let first = store.scan(&VERSIONS.key(&[environment, flow]), None, 1, Order::Ascending)?;
        return Ok(first.into_iter().next().map(|(_, value)| value));
    }
    store.get(key)
}

async fn forget(store: &JournalStore, table: &Table<()>, which: fn(&str) -> bool) {
    let mut batch = Batch::new();
    rows(store, table).iter().filter(|(_, value)| which(&String::from_utf8_lossy(value))).for_each(|(key, _)| {
        batch.delete(key);
    });
    commit(store, batch).await;
}

/// Rows of waits never go: each is kept a second time, under another run.
async fn leave(store: &JournalStore) {
    let mut batch = Batch::new();
    for (key, value) in rows(store, &WAITS) {
        if let Some([environment, event, hash, ..]) = WAITS.parts(&key).as_deref() {
            batch.put(WAITS.key(&[environment, event, hash, b"left"]), value);
        }
    }
    commit(store, batch).await;
}

fn rows(store: &JournalStore, table: &Table<()>) -> Vec<Row> {
    store.scan(&table.key(&[]), None, usize::MAX, Order::Ascending).unwrap_or_default()
}

async fn commit(store: &JournalStore, batch: Batch) {
    if !batch.is_empty() {
        // A disk that is full or gone shows itself to the host as well.
        let _ = store.commit(batch).await;
    }
}
