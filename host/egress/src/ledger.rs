//! What one call did outside: its records, the first denial or limit, and whether
//! anything may have left. A record is entered when the decision falls and
//! completed later, so a call that is cut off in between is on record too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{AccessRecord, Failure};

use crate::body::Pace;

/// Set in the count of what left once the call is over: nothing leaves any more.
const CLOSED: u64 = 1 << 63;

/// Records of files that are kept singly. Requests are bounded by their own limit.
const FILE_RECORDS_MAX: usize = 1_000;

#[derive(Default)]
struct Entries {
    records: Vec<AccessRecord>,
    files: usize,
    omitted: u64,
    verdict: Option<Failure>,
    /// Bodies that are sent in pieces, with their records: how much of them left is known
    /// whenever it is asked for, also of a request that was cut off.
    paces: Vec<(Entry, Arc<Pace>)>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    entries: Mutex<Entries>,
    /// Requests handed to the transport, less those known not to have left; and
    /// [`CLOSED`].
    left: AtomicU64,
    requests: AtomicU64,
    /// A wait that a request was refused for, in milliseconds and one more; 0: none.
    wait_ms: AtomicU64,
}

/// The place of a record in its ledger.
#[derive(Debug, Clone, Copy)]
pub struct Entry(usize);

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, record: AccessRecord) -> Entry {
        let mut entries = self.entries();
        entries.records.push(record);
        Entry(entries.records.len() - 1)
    }

    pub(crate) fn update(&self, entry: Entry, change: impl FnOnce(&mut AccessRecord)) {
        if let Some(record) = self.entries().records.get_mut(entry.0) {
            change(record);
        }
    }

    /// The body of a request, which goes on until it is stopped, at the latest by
    /// [`Self::close`].
    pub(crate) fn watch(&self, entry: Entry, pace: Arc<Pace>) {
        self.entries().paces.push((entry, pace.clone()));
        // Closed in between, or before.
        if self.is_closed() {
            pace.stop();
        }
    }

    /// A record from elsewhere. A denied one counts for the verdict. None: there are so
    /// many that it is only counted.
    pub(crate) fn add(&self, record: AccessRecord) -> Option<Entry> {
        let mut entries = self.entries();
        if !record.allowed && entries.verdict.is_none() {
            let fix = record.fix.clone().unwrap_or_default();
            entries.verdict = Some(Failure::PolicyDenied { rule: record.rule.clone(), fix });
        }
        if entries.files >= FILE_RECORDS_MAX {
            entries.omitted += 1;
            return None;
        }
        entries.files += 1;
        entries.records.push(record);
        Some(Entry(entries.records.len() - 1))
    }

    /// The first one stands.
    pub(crate) fn judge(&self, failure: Failure) {
        self.entries().verdict.get_or_insert(failure);
    }

    pub(crate) fn verdict(&self) -> Option<Failure> {
        self.entries().verdict.clone()
    }

    /// All records; a last one tells how many were left out, if any were.
    pub(crate) fn records(&self) -> Vec<AccessRecord> {
        let entries = self.entries();
        let mut records = entries.records.clone();
        for (entry, pace) in &entries.paces {
            records[entry.0].sent_bytes = pace.sent();
        }
        if let (true, Some(last)) = (entries.omitted > 0, entries.records.last()) {
            let rule = format!("{} further file accesses are not listed singly", entries.omitted);
            records.push(AccessRecord { rule, path: String::new(), ..last.clone() });
        }
        records
    }

    /// Counts one more request; the number of requests so far.
    pub(crate) fn count_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts a request that is about to leave. False: the call is over, and it must not.
    pub(crate) fn leaving(&self) -> bool {
        let count = |left: u64| (left & CLOSED == 0).then_some(left + 1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count).is_ok()
    }

    pub(crate) fn did_not_leave(&self) {
        self.left.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lets nothing leave any more, and breaks off what is leaving. What [`Self::sent`]
    /// says afterwards stays true. Whoever closes it again does nothing.
    pub(crate) fn close(&self) {
        if self.left.fetch_or(CLOSED, Ordering::SeqCst) & CLOSED != 0 {
            return;
        }
        let paces: Vec<Arc<Pace>> = self.entries().paces.iter().map(|(_, pace)| pace.clone()).collect();
        paces.iter().for_each(|pace| pace.stop());
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.left.load(Ordering::SeqCst) & CLOSED != 0
    }

    pub(crate) fn sent(&self) -> bool {
        self.left.load(Ordering::SeqCst) & !CLOSED > 0
    }

    /// Remembers that a request was refused until later. The first wait stands.
    pub(crate) fn refuse_for(&self, wait_ms: u64) {
        let _first = self.wait_ms.compare_exchange(0, wait_ms.saturating_add(1), Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(crate) fn refused_for(&self) -> Option<u64> {
        self.wait_ms.load(Ordering::SeqCst).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(allowed: bool, rule: &str) -> AccessRecord {
        AccessRecord {
            at_ms: 1,
            method: "READ".to_owned(),
            target: "folder in".to_owned(),
            path: "/a".to_owned(),
            allowed,
            rule: rule.to_owned(),
            fix: (!allowed).then(|| "grant it".to_owned()),
            address: None,
            status: None,
            error: None,
            sent_bytes: 0,
            received_bytes: 0,
            duration_ms: 0,
        }
    }

    #[test]
    fn the_first_denial_is_the_verdict() {
        let ledger = Ledger::default();
        ledger.add(record(true, "yes"));
        assert_eq!(ledger.verdict(), None);
        ledger.add(record(false, "first"));
        ledger.add(record(false, "second"));
        ledger.judge(Failure::LimitExceeded { which: "requests".to_owned(), limit: 1 });
        let wanted = Failure::PolicyDenied { rule: "first".to_owned(), fix: "grant it".to_owned() };
        assert_eq!(ledger.verdict(), Some(wanted));
        assert_eq!(ledger.records().len(), 3);
    }

    #[test]
    fn a_flood_of_files_is_counted_not_kept() {
        let ledger = Ledger::default();
        for _ in 0..FILE_RECORDS_MAX + 7 {
            ledger.add(record(true, "yes"));
        }
        let request = ledger.enter(record(true, "request"));
        ledger.update(request, |record| record.status = Some(200));
        let records = ledger.records();
        assert_eq!(records.len(), FILE_RECORDS_MAX + 2);
        assert_eq!(records[FILE_RECORDS_MAX].status, Some(200));
        assert_eq!(records[FILE_RECORDS_MAX + 1].rule, "7 further file accesses are not listed singly");
    }

    #[test]
    fn nothing_leaves_once_the_call_is_over() {
        let ledger = Ledger::default();
        ledger.close();
        assert!(!ledger.leaving() && !ledger.sent() && ledger.is_closed());
        let ledger = Ledger::default();
        assert!(ledger.leaving() && !ledger.is_closed());
        ledger.close();
        assert!(!ledger.leaving() && ledger.sent());
        ledger.did_not_leave();
        assert!(!ledger.sent() && ledger.is_closed());
    }
}
