//! What people asked of the host and what it told them. Outlives the host.
//!
//! An answer that a crash took away is no answer: whoever asked knows only that they
//! did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::SettledAs;
use model::RunId;

/// Everything that was asked.
#[derive(Default)]
pub(crate) struct Book(Mutex<Pages>);

/// By subject, in the order of asking.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pages {
    /// Answers to questions, by the name of the question.
    pub(crate) decisions: Vec<Entry<Decision>>,
    /// Events that somebody signalled.
    pub(crate) signals: Vec<Entry<Signal>>,
    /// Runs that were to end.
    pub(crate) cancels: Vec<Entry<RunId>>,
    /// Runs that were to run again.
    pub(crate) replays: Vec<Entry<Again>>,
    /// Dead letters that were to be put aside.
    pub(crate) discards: Vec<Entry<RunId>>,
    /// Flows that were to pause.
    pub(crate) pauses: Vec<Entry<Hold>>,
    /// Documents that were to be published.
    pub(crate) publishings: Vec<Entry<String>>,
    /// Flows that were to end.
    pub(crate) retired: BTreeSet<&'static str>,
    /// Secrets of webhooks, oldest first, by flow.
    pub(crate) secrets: BTreeMap<&'static str, Vec<String>>,
}

/// Something that was asked.
#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    /// What.
    pub(crate) what: T,
    /// What the host said.
    pub(crate) told: Told,
}

/// What the host said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: it was down before.
    Nothing,
    /// It refused.
    No,
    /// It is done: since when, and the runs that this is about.
    Yes { at_ms: u64, runs: Vec<RunId> },
}

/// An answer to a question.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) id: String,
    pub(crate) outcome: &'static str,
    pub(crate) by: String,
}

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Signal {
    pub(crate) key: String,
    /// In its payload; never twice.
    pub(crate) serial: u64,
}

/// A run that is to run again.
#[derive(Debug, Clone)]
pub(crate) struct Again {
    pub(crate) of: RunId,
    pub(crate) from: From,
    pub(crate) how: SettledAs,
}

/// From where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    /// The start, with its own event.
    Start,
    /// The start, with an event of this name.
    Edited(String),
    /// A step.
    Step(String),
    /// A step, with an input that has this mark.
    StepEdited(String, String),
    /// Behind a step whose call took effect.
    Behind(String),
}

/// A flow that is to pause.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) flow: &'static str,
    /// When somebody asked for its end; none: not yet.
    pub(crate) until_ms: Option<u64>,
}

/// Which page of the book.
pub(crate) type Page<T> = fn(&mut Pages) -> &mut Vec<Entry<T>>;

impl Told {
    pub(crate) fn is_yes(&self) -> bool {
        matches!(self, Self::Yes { .. })
    }
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything so far.
    pub(crate) fn read(&self) -> Pages {
        self.lock().clone()
    }

    /// Looks at it, or writes something else than a question.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Pages) -> R) -> R {
        look(&mut self.lock())
    }

    /// Something is about to be asked; the number of the question.
    pub(crate) fn ask<T>(&self, page: Page<T>, what: T) -> usize {
        let mut pages = self.lock();
        let page = page(&mut pages);
        page.push(Entry { what, told: Told::Nothing });
        page.len() - 1
    }

    /// The host has answered.
    pub(crate) fn tell<T>(&self, page: Page<T>, number: usize, told: Told) {
        page(&mut self.lock())[number].told = told;
    }
}
