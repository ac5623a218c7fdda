//! Which statuses count as success.

use sluicegate_sdk::{Error, Result};

/// Ranges of statuses, ends included.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted(Vec<(u16, u16)>);

impl Accepted {
    /// Parses `2xx`, `200`, `200-299`, with commas between; nothing means `2xx`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self(vec![(200, 299)]));
        }
        let ranges = text.split(',').map(|part| parse_range(part.trim()));
        ranges.collect::<Option<_>>().map(Self).ok_or_else(|| {
            Error::invalid_input("/accepted", "statuses such as 2xx, or 200, 404, or 200-299", format!("{text:?}"))
        })
    }

    pub(crate) fn includes(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    if let Some(hundred) = text.strip_suffix("xx") {
        let first = hundred.parse::<u16>().ok().filter(|hundred| (1..=5).contains(hundred))? * 100;
        return Some((first, first + 99));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_status(first)?, parse_status(last)?);
    (first <= last).then_some((first, last))
}

fn parse_status(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|status| (100..=599).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_statuses_as_people_write_them() {
        for (text, wanted) in [
            ("", Some(vec![(200, 299)])),
            (" 2xx ", Some(vec![(200, 299)])),
            ("200,404", Some(vec![(200, 200), (404, 404)])),
            ("200 - 204, 4xx", Some(vec![(200, 204), (400, 499)])),
            ("9xx", None),
            ("204-200", None),
            ("20", None),
            ("ok", None),
            ("200,", None),
        ] {
            assert_eq!(Accepted::parse(text).ok().map(|accepted| accepted.0), wanted, "{text:?}");
        }
    }
}
