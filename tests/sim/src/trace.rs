//! What happened in a world: a hash over all of it, counts, and broken promises.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::SimClock;
use crate::dice::fnv;

/// The story of one world.
pub(crate) struct Trace {
    clock: Arc<SimClock>,
    story: Mutex<Story>,
    aloud: bool,
}

/// What is kept of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    /// Two worlds with the same hash did the same.
    pub(crate) hash: u64,
    /// How often each fault and each outcome came up.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Broken promises, in words.
    pub(crate) broken: Vec<String>,
}

impl Trace {
    /// An empty story; told aloud line by line when a person replays it.
    pub(crate) fn new(clock: Arc<SimClock>, aloud: bool) -> Self {
        Self { clock, story: Mutex::default(), aloud }
    }

    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let line = format!("{:>12} {what}", self.clock.passed_ms());
        if self.aloud {
            println!("{line}");
        }
        let mut story = self.story();
        story.hash = story.hash.rotate_left(5) ^ fnv(line.as_bytes());
    }

    /// Something happened that is counted.
    pub(crate) fn count(&self, what: &'static str) {
        *self.story().counts.entry(what).or_default() += 1;
    }

    /// A promise was broken.
    pub(crate) fn broken(&self, what: String) {
        self.note(format_args!("BROKEN {what}"));
        self.story().broken.push(what);
    }

    /// Whether one was.
    pub(crate) fn is_broken(&self) -> bool {
        !self.story().broken.is_empty()
    }

    /// Everything that is kept.
    pub(crate) fn to_story(&self) -> Story {
        self.story().clone()
    }
}
