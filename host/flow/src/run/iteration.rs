//! Where in the loops around it a step is executed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which item of each enclosing loop, outermost first, counted from 0; empty outside
/// loops. Together with the step's name it says what an entry is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Iteration(Vec<u32>);

impl Iteration {
    /// Whether it is outside all loops.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The indexes, outermost first.
    pub fn indexes(&self) -> &[u32] {
        &self.0
    }

    /// Inside a loop that is executed here: the item of this index.
    #[must_use]
    pub fn item(&self, index: u32) -> Self {
        let mut indexes = self.0.clone();
        indexes.push(index);
        Self(indexes)
    }

    /// The index of the innermost loop's item.
    pub fn index(&self) -> Option<u32> {
        self.0.last().copied()
    }

    /// Where the innermost loop itself is executed; none outside loops.
    pub fn outer(&self) -> Option<Self> {
        let (_, outer) = self.0.split_last()?;
        Some(Self(outer.to_vec()))
    }
}

impl fmt::Display for Iteration {
    /// As messages write it behind a step's name: `[3][0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|index| write!(f, "[{index}]"))
    }
}

/// A step, and where in the loops around it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Spot {
    /// The step.
    pub step: model::StepId,
    /// Where in the loops around it.
    #[serde(default, skip_serializing_if = "Iteration::is_empty")]
    pub iteration: Iteration,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.step, self.iteration)
    }
}
