//! Texts for people: colours, tables, times, problems.
//!
//! Colours only where somebody sees them: on a terminal, unless `NO_COLOR` is set.

use std::io::IsTerminal as _;

use model::Problem;
use serde_json::Value;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn stdout() -> Self {
        Self(std::io::stdout().is_terminal() && wanted())
    }

    pub(crate) fn stderr() -> Self {
        Self(std::io::stderr().is_terminal() && wanted())
    }

    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self(false)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.code("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.code("31", text)
    }

    pub(crate) fn warn(self, text: &str) -> String {
        self.code("33", text)
    }
}

/// See <https://no-color.org>.
fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A problem: what, cause, fix.
pub(crate) fn problem(problem: &Problem, paint: Paint) -> String {
    format!("{} {}", paint.bad("error:"), explained(problem, paint))
}

/// A problem that stops nothing.
pub(crate) fn warning(problem: &Problem, paint: Paint) -> String {
    format!("{} {}", paint.warn("warning:"), explained(problem, paint))
}

fn explained(problem: &Problem, paint: Paint) -> String {
    let mut text = match &problem.field {
        Some(field) => format!("{}: {}", paint.bold(field), problem.what),
        None => problem.what.clone(),
    };
    for (name, words) in [("cause", &problem.cause), ("fix", &problem.fix)] {
        if let Some(words) = words {
            text.push_str(&format!("\n  {} {}", paint.dim(&format!("{name}:")), words.replace('\n', "\n       ")));
        }
    }
    text
}

/// Pretty JSON.
pub(crate) fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// JSON on one line, cut to what fits a terminal.
pub(crate) fn short(value: &Value, chars_max: usize) -> String {
    cut(&value.to_string(), chars_max)
}

pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain("…".chars()).collect()
}

/// Every line but the first moved in by `by` spaces.
pub(crate) fn hang(text: &str, by: usize) -> String {
    text.replace('\n', &format!("\n{}", " ".repeat(by)))
}

/// `2026-11-22 08:01:23 UTC`
pub(crate) fn time(at_ms: u64) -> String {
    let at_ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{at_ms} ms"),
    }
}

/// `412 ms`, `3.2 s`, `5 min`
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min", ms / 60_000),
    }
}

/// `412 B`, `3.2 KiB`, `5.0 MiB`
pub(crate) fn bytes(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        0..KIB => format!("{bytes} B"),
        KIB..MIB => format!("{}.{} KiB", bytes / KIB, bytes % KIB * 10 / KIB),
        _ => format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
    }
}

/// Replaces what could drive a terminal: texts come from connectors and remotes.
pub(crate) fn clean(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.chars().any(is_control) {
                *text = text.chars().map(|c| if is_control(c) { '\u{fffd}' } else { c }).collect();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Control characters besides line feed and tab, and those that turn text around.
fn is_control(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Rows in columns, the last as long as it is.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| cell.replace('\n', " ")).to_vec());
    }

    /// The rows; `empty` says what to do when there is none.
    pub(crate) fn print(&self, paint: Paint, empty: &str) -> String {
        if self.rows.len() == 1 {
            return empty.to_owned();
        }
        let columns = self.rows[0].len();
        let width = |at: usize| self.rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |(number, row): (usize, &Vec<String>)| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let line = cells.join("  ").trim_end().to_owned();
            if number == 0 { paint.dim(&line) } else { line }
        };
        self.rows.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        for (ms, wanted) in [(7, "7 ms"), (3_200, "3.2 s"), (300_000, "5 min")] {
            assert_eq!(duration(ms), wanted);
        }
        for (count, wanted) in [(7, "7 B"), (1_536, "1.5 KiB"), (5 << 20, "5.0 MiB")] {
            assert_eq!(bytes(count), wanted);
        }
        assert_eq!(time(1_700_000_000_123), "2023-11-14 22:13:20 UTC");
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn nothing_drives_the_terminal() {
        let mut value = serde_json::json!({ "a": ["\u{1b}[31mred\r\nnext", "\u{202e}turned"] });
        clean(&mut value);
        assert_eq!(value["a"][0], "\u{fffd}[31mred\u{fffd}\nnext");
        assert_eq!(value["a"][1], "\u{fffd}turned");
    }

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(&["ID", "NAME"]);
        assert_eq!(table.print(Paint::plain(), "none"), "none");
        table.row(["a".into(), "Alpha".into()]);
        table.row(["long".into(), "B".into()]);
        assert_eq!(table.print(Paint::plain(), ""), "ID    NAME\na     Alpha\nlong  B");
    }
}
