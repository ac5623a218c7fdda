//! Reads objects strictly: unknown keys, missing ones, and values of wrong types.

use std::ops::RangeInclusive;
use std::str::FromStr;

use model::{NameError, Problem};

use super::report::{Report, suggest, wrong};
use super::tree::{Content, Node};

/// An object of the document and the field path it stands at.
pub(super) struct Fields<'n> {
    pub(super) node: &'n Node,
    pub(super) path: String,
    entries: &'n [(String, Node)],
}

impl<'n> Fields<'n> {
    /// The object at this node; anything else is a problem.
    pub(super) fn of(node: &'n Node, path: &str, report: &mut Report<'_>) -> Option<Self> {
        match &node.content {
            Content::Object(entries) => Some(Self { node, path: path.to_owned(), entries }),
            _ => {
                let name = if path.is_empty() { "the document" } else { path };
                report.add(node, path, wrong(name, "an object", node));
                None
            }
        }
    }

    /// Reports every key that is not one of these.
    pub(super) fn only(&self, known: &[&str], report: &mut Report<'_>) {
        for (name, node) in self.entries {
            if !known.contains(&name.as_str()) {
                let problem = Problem::new("unknown-key", format!("there is no key {name:?} here"));
                report.add(node, &self.field(name), suggest(problem, name, known.iter().copied()));
            }
        }
    }

    /// The value of a key; one left empty counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.get_any(name).filter(|node| !matches!(node.content, Content::Null))
    }

    /// The value of a key, null included.
    pub(super) fn get_any(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, name: &str, expected: &str, report: &mut Report<'_>) -> Option<&'n Node> {
        let found = self.get(name);
        if found.is_none() {
            let problem = Problem::new("missing-key", format!("{name} is missing"));
            report.add(self.node, &self.field(name), problem.fix(format!("add {name} ({expected})")));
        }
        found
    }

    pub(super) fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn text(&self, name: &str, report: &mut Report<'_>) -> Option<String> {
        text(self.get(name)?, name, &self.field(name), report)
    }

    pub(super) fn name<T: FromStr<Err = NameError>>(&self, name: &str, report: &mut Report<'_>) -> Option<T> {
        parse_name(self.get(name)?, name, &self.field(name), report)
    }

    /// A duration in milliseconds, from 1 up to `most`.
    pub(super) fn duration(&self, name: &str, most: u64, report: &mut Report<'_>) -> Option<u64> {
        let expected = format!("a time such as 500ms, 30s, 5m or 2h, at most {}", show_duration(most));
        self.duration_within(name, &(1..=most), &expected, report)
    }

    /// The same with a least of its own, and the words for it.
    pub(super) fn duration_within(
        &self,
        name: &str,
        range: &RangeInclusive<u64>,
        expected: &str,
        report: &mut Report<'_>,
    ) -> Option<u64> {
        let node = self.get(name)?;
        let found = match &node.content {
            Content::Text(text) => duration_ms(text),
            _ => None,
        };
        let fits = found.filter(|ms| range.contains(ms));
        if fits.is_none() {
            let problem = wrong(name, expected, node);
            let meant = match &node.content {
                Content::Text(text) => duration_in_words(text).filter(|ms| range.contains(ms)),
                _ => None,
            };
            let problem = match meant {
                Some(ms) => problem.fix(format!("write {}", show_duration(ms))),
                None => problem,
            };
            report.add(node, &self.field(name), problem);
        }
        fits
    }

    /// True or false.
    pub(super) fn flag(&self, name: &str, absent: bool, report: &mut Report<'_>) -> bool {
        let Some(node) = self.get(name) else { return absent };
        let found = node.to_json().as_bool();
        if found.is_none() {
            report.add(node, &self.field(name), wrong(name, "true or false", node));
        }
        found.unwrap_or(absent)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)], report: &mut Report<'_>) -> Option<T> {
        let node = self.get(name)?;
        let words = || choices.iter().map(|(word, _)| *word);
        let text = match &node.content {
            Content::Text(text) => text.as_str(),
            _ => "",
        };
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let expected = words().collect::<Vec<_>>().join(" or ");
            report.add(node, &self.field(name), suggest(wrong(name, &expected, node), text, words()));
        }
        found
    }
}

pub(super) fn text(node: &Node, name: &str, field: &str, report: &mut Report<'_>) -> Option<String> {
    match &node.content {
        Content::Text(text) => Some(text.clone()),
        _ => {
            report.add(node, field, wrong(name, "text", node));
            None
        }
    }
}

pub(super) fn parse_name<T: FromStr<Err = NameError>>(
    node: &Node,
    name: &str,
    field: &str,
    report: &mut Report<'_>,
) -> Option<T> {
    let text = text(node, name, field, report)?;
    text.parse().map_err(|error: NameError| report.add(node, field, Problem::new("bad-name", error.to_string()))).ok()
}

/// A whole number and a unit, in milliseconds: `500ms`, `30s`, `5m`, `2h`, `1d`.
pub fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

/// What a duration in words means: `5 minutes`.
fn duration_in_words(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return None,
    };
    duration_ms(&format!("{number}{unit}"))
}

/// The shortest way to write a duration.
pub(crate) fn show_duration(ms: u64) -> String {
    for (unit_ms, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if ms.is_multiple_of(unit_ms) {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    format!("{ms}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, wanted) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(duration_ms(text), wanted, "{text}");
        }
        assert_eq!(show_duration(90_000), "90s");
        assert_eq!(duration_in_words("5 minutes"), Some(300_000));
        assert_eq!(duration_in_words("soon"), None);
    }
}
