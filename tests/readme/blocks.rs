//! The code blocks of the README, as a reader would copy them.

use anyhow::{Context as _, Result};

/// The text of the README.
pub(crate) const README: &str = include_str!("../../README.md");

/// The first block of this language in which `mark` stands, to the letter.
pub(crate) fn block(language: &str, mark: &str) -> Result<&'static str> {
    let fence = format!("```{language}\n");
    README
        .split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.contains(mark))
        .with_context(|| format!("the README has no {language} block with {mark:?}"))
}
