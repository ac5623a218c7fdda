//! The stand-in's state for one call, held by the thread that runs it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use crate::context::{Call, Connection};
use crate::log::Level;
use crate::state::Entry;

/// What the host is for one call: which requests it expects, which files there are.
#[derive(Debug, Default)]
pub struct Stage {
    pub(super) exchanges: VecDeque<Exchange>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) modified_ms: BTreeMap<String, u64>,
    pub(super) state: BTreeMap<String, Entry<Vec<u8>>>,
    pub(super) base_url: Option<String>,
    pub(super) wrong: Vec<String>,
    pub(super) log: Vec<(Level, String)>,
}

/// A request as it is expected, and the answer to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    pub(super) request: Expected,
    pub(super) response: Recorded,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Recorded {
    Answer {
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        body: Value,
    },
    Unreachable {
        unreachable: String,
    },
}

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

impl Stage {
    /// A host without exchanges, files and connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file into a granted folder.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// The content of a file, None when there is none.
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// The log lines written.
    pub fn log(&self) -> &[(Level, String)] {
        &self.log
    }

    /// Runs `work` with this host, and gives back what it became.
    ///
    /// # Panics
    /// When one call is made within another.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> (T, Self) {
        let before = STAGE.with_borrow_mut(|stage| stage.replace(self));
        assert!(before.is_none(), "a stage holds one call at a time");
        let result = work();
        let stage = STAGE.with_borrow_mut(Option::take);
        (result, stage.expect("the stage was set above and only `run` takes it"))
    }

    pub(super) fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        STAGE.with_borrow_mut(|stage| {
            work(stage.as_mut().expect("natively, a connector's calls to the host happen within `testing::Stage::run`"))
        })
    }

    /// The call, the same in every test: keys and names that samples can rely on.
    pub(super) fn call(&self) -> Call {
        Call {
            flow: Some("sample".to_owned()),
            run: Some("0".repeat(32)),
            step: Some("sample".to_owned()),
            attempt: 1,
            idempotency_key: "sample".to_owned(),
            environment: "test".to_owned(),
            connection: self.base_url.as_ref().map(|base_url| Connection {
                label: "sample".to_owned(),
                base_url: Some(base_url.clone()),
                scopes: Vec::new(),
            }),
        }
    }

    /// `{base-url}` as the host resolves it.
    pub(super) fn resolve(&self, url: &str) -> String {
        match (url.strip_prefix("{base-url}"), &self.base_url) {
            (Some(rest), Some(base)) => format!("{}{rest}", base.trim_end_matches('/')),
            _ => url.to_owned(),
        }
    }
}
