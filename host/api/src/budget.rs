//! Memory for bodies, shared by all connections of a listener.
//!
//! A body takes from the budget as its pieces arrive and gives back when the last
//! copy of its bytes is gone. Nobody waits for a share: senders try again later.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is taken at once. 64 KiB: most deliveries are smaller.
const SHARE_BYTES: usize = 64 << 10;
/// All bodies of a listener together: 256 MiB.
const SHARES: usize = (256 << 20) / SHARE_BYTES;

/// The budget of a listener.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(SHARES)))
    }

    #[cfg(test)]
    pub(crate) fn of_shares(shares: usize) -> Self {
        Self(Arc::new(Semaphore::new(shares)))
    }
}

/// The budget is used up.
pub(crate) struct Spent;

/// A body under way; without a budget in process, where the caller has it already.
pub(crate) struct Buffer {
    bytes: BytesMut,
    budget: Option<Budget>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Buffer {
    pub(crate) fn new(budget: Option<Budget>) -> Self {
        Self { bytes: BytesMut::new(), budget, taken: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), Spent> {
        self.take((self.bytes.len() + piece.len()).div_ceil(SHARE_BYTES))?;
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn take(&mut self, shares: usize) -> Result<(), Spent> {
        let Some(budget) = &self.budget else { return Ok(()) };
        let missing = shares.saturating_sub(self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).map_err(|_| Spent)?;
        let more = budget.0.clone().try_acquire_many_owned(missing).map_err(|_| Spent)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }

    /// The body, which keeps its share as long as any part of it is there.
    pub(crate) fn freeze(self) -> Bytes {
        match self.taken {
            Some(taken) => Bytes::from_owner(Kept { bytes: self.bytes, _taken: taken }),
            None => self.bytes.freeze(),
        }
    }
}

struct Kept {
    bytes: BytesMut,
    _taken: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_and_give_back() {
        let budget = Budget::of_shares(3);
        let buffer = || Buffer::new(Some(budget.clone()));
        let (mut first, mut second) = (buffer(), buffer());
        assert!(first.push(&[1; SHARE_BYTES]).is_ok() && first.push(&[1]).is_ok() && second.push(&[2]).is_ok());
        assert!(buffer().push(&[3]).is_err(), "all is taken");
        assert!(first.push(&[1; SHARE_BYTES - 1]).is_ok(), "what was taken is used up first");
        assert!(first.push(&[1]).is_err());
        drop(second);
        assert_eq!(budget.0.available_permits(), 1);
        let part = first.freeze().slice(..1);
        assert_eq!((&part[..], budget.0.available_permits()), (&[1][..], 1));
        drop(part);
        assert_eq!(budget.0.available_permits(), 3);
    }
}
