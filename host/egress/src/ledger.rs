//! What one call did outside: its records, the first denial or limit, and whether
//! anything may have left. A record is entered when the decision falls and
//! completed later, so a call that is cut off in between is on record too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{AccessRecord, Failure};

/// Records of files that are kept singly. Requests are bounded by their own limit.
const FILE_RECORDS_MAX: usize = 1_000;

#[derive(Default)]
struct Entries {
    records: Vec<AccessRecord>,
    files: usize,
    omitted: u64,
    verdict: Option<Failure>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    entries: Mutex<Entries>,
    /// Requests handed to the transport, less those known not to have left.
    left: AtomicU64,
    requests: AtomicU64,
}

/// The place of a record in its ledger.
#[derive(Clone, Copy)]
pub(crate) struct Entry(usize);

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

    /// A record from elsewhere, complete. A denied one counts for the verdict.
    pub(crate) fn add(&self, record: AccessRecord) {
        let mut entries = self.entries();
        if !record.allowed && entries.verdict.is_none() {
            let fix = record.fix.clone().unwrap_or_default();
            entries.verdict = Some(Failure::PolicyDenied { rule: record.rule.clone(), fix });
        }
        if entries.files >= FILE_RECORDS_MAX {
            entries.omitted += 1;
            return;
        }
        entries.files += 1;
        entries.records.push(record);
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

    pub(crate) fn leaving(&self) {
        self.left.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn did_not_leave(&self) {
        self.left.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn sent(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
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
}
