//! Choices drawn from bytes, so that a fuzzer that changes the bytes changes them.

/// Bytes that are used up choice by choice. Once they are, every choice is the first.
pub(crate) struct Choices<'b>(&'b [u8]);

impl<'b> Choices<'b> {
    pub(crate) fn of(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there is nothing left to choose with.
    pub(crate) fn is_used_up(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number below `bound`, which is not zero; as few bytes as it takes.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let mut drawn = usize::from(self.byte());
        if bound > 256 {
            drawn = drawn << 16 | usize::from(self.byte()) << 8 | usize::from(self.byte());
        }
        drawn % bound
    }

    /// True once in so many.
    pub(crate) fn one_in(&mut self, so_many: usize) -> bool {
        self.below(so_many) == so_many - 1
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// So many bytes; zeros for those that are missing.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }
}
