//! Places that show all they hold at once: folders, short lists without times.
//!
//! Remembers what was there, not when it came: a thing that is moved in with an old
//! time is new all the same, and things of one time are told apart by their ids.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ITEMS_MAX, Item, Page, Position, cursor};
use crate::error::{Error, Result};

/// Things remembered; their hashes fill 107 of the 128 KiB that a cursor has.
const KNOWN_MAX: usize = 10_000;

/// How to read a place that shows all it holds at once.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot;

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    v: u8,
    known: String,
}

impl Snapshot {
    /// What of `all` was not there before. What is gone meanwhile is forgotten, and is
    /// new when it comes back.
    ///
    /// # Errors
    /// `permanent` for a cursor that this connector did not write, and for more than
    /// 10,000 things.
    pub fn read<T>(from: &Position, all: Vec<Item<T>>) -> Result<Page<T>> {
        if all.len() > KNOWN_MAX {
            return Err(Error::permanent(format!(
                "there are {} things, more than the {KNOWN_MAX} that can be told apart; watch a smaller place, or clear away what is done",
                all.len()
            )));
        }
        let known = match from {
            Position::Now => all.iter().map(|item| cursor::hash(&item.id)).collect(),
            Position::Beginning => BTreeSet::new(),
            Position::After(text) => parse(text)?,
        };
        let (old, mut items): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|item| known.contains(&cursor::hash(&item.id)));
        items.sort_by_cached_key(Item::order_key);
        let more = items.len() > ITEMS_MAX;
        items.truncate(ITEMS_MAX);
        let now: BTreeSet<u64> = old.iter().chain(&items).map(|item| cursor::hash(&item.id)).collect();
        let bytes: Vec<u8> = now.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        Ok(Page { items, cursor: cursor::write(&Kept { v: 1, known: cursor::encode(&bytes) })?, more })
    }
}

fn parse(text: &str) -> Result<BTreeSet<u64>> {
    let kept: Kept = cursor::read(text)?;
    let bytes = cursor::decode(&kept.known).filter(|bytes| kept.v == 1 && bytes.len() % 8 == 0);
    let bytes = bytes.ok_or_else(|| Error::permanent("the cursor was written by another version of this connector"))?;
    Ok(bytes.chunks(8).map(|hash| hash.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))).collect())
}
