//! Reading files as text, table, or log.

use sluicegate_sdk::serde_json::{self, Map};
use sluicegate_sdk::{Error, Result, Value, action, files, object};

use crate::csv;

/// What fits into the journal and into a form. Larger files belong into a program.
const FILE_BYTES_MAX: u32 = 2 << 20;

/// Which file.
#[object]
pub struct File {
    /// The file: an opened folder, then its name.
    #[field(label = "File", placeholder = "reports/today.txt")]
    pub path: String,
}

/// A file's text.
#[object]
pub struct Content {
    /// What the file holds.
    #[field(widget = "textarea")]
    pub text: String,
}

/// Read a text
///
/// Reads a file of at most 2 MiB as text.
#[action(
    effect = read,
    idempotency = natural,
    files = read,
    sample = { input: { path: "reports/today.txt" }, output: { text: "All is well.\n" } },
)]
pub fn read_text(input: File) -> Result<Content> {
    Ok(Content { text: read_whole(&input.path)? })
}

/// Which rows of a table.
#[object]
pub struct TableQuery {
    /// The file: an opened folder, then its name.
    #[field(label = "File", placeholder = "reports/today.csv", order = 1)]
    pub path: String,
    /// What stands between the columns: a comma, a semicolon, or a tab.
    #[serde(default)]
    #[field(label = "Separator", advanced, order = 2)]
    pub separator: Separator,
    /// How many rows at most, from the top.
    #[serde(default = "default_rows_max")]
    #[field(label = "At most", advanced, order = 3)]
    pub rows_max: usize,
}

/// What stands between columns.
#[object]
#[derive(Default)]
pub enum Separator {
    /// ,
    #[default]
    Comma,
    /// ;
    Semicolon,
    /// A tab
    Tab,
}

impl Separator {
    pub(crate) fn as_char(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Semicolon => ';',
            Self::Tab => '\t',
        }
    }
}

fn default_rows_max() -> usize {
    1_000
}

/// A table.
#[object]
pub struct Table {
    /// The names of the columns, from the first row.
    pub columns: Vec<String>,
    /// The rows below it; each cell is a text under its column's name.
    pub rows: Vec<Map<String, Value>>,
    /// Whether there are more rows than were asked for.
    pub more: bool,
}

/// Read a table (CSV)
///
/// Reads a CSV file of at most 2 MiB. Its first row names the columns.
#[action(
    effect = read,
    idempotency = natural,
    files = read,
    sample = {
        input: { path: "reports/today.csv" },
        output: { columns: ["name", "count"], rows: [{ name: "Ada", count: "2" }], more: false },
    },
)]
pub fn read_csv(input: TableQuery) -> Result<Table> {
    let text = read_whole(&input.path)?;
    let mut records = csv::parse(&text, input.separator.as_char()).into_iter();
    let columns = records.next().unwrap_or_default();
    // Two runs that made the file at the same moment may both have named the columns.
    let mut rows: Vec<_> = records.filter(|record| *record != columns).map(|record| to_row(&columns, record)).collect();
    let more = rows.len() > input.rows_max;
    rows.truncate(input.rows_max);
    Ok(Table { columns, rows, more })
}

fn to_row(columns: &[String], record: Vec<String>) -> Map<String, Value> {
    columns.iter().cloned().zip(record.into_iter().map(Value::String)).collect()
}

/// Which lines of a log.
#[object]
pub struct LogQuery {
    /// The file: an opened folder, then its name.
    #[field(label = "File", placeholder = "reports/log.jsonl", order = 1)]
    pub path: String,
    /// How many lines at most, from the top.
    #[serde(default = "default_rows_max")]
    #[field(label = "At most", advanced, order = 2)]
    pub lines_max: usize,
}

/// A log.
#[object]
pub struct Log {
    /// The lines, each a JSON value.
    pub lines: Vec<Value>,
    /// Whether there are more lines than were asked for.
    pub more: bool,
}

/// Read a log (JSON lines)
///
/// Reads a file of at most 2 MiB that holds one JSON value a line.
#[action(
    effect = read,
    idempotency = natural,
    files = read,
    sample = {
        input: { path: "reports/log.jsonl" },
        output: { lines: [{ name: "Ada", count: 2 }], more: false },
    },
)]
pub fn read_json_lines(input: LogQuery) -> Result<Log> {
    let text = read_whole(&input.path)?;
    let mut written = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let lines = written.by_ref().take(input.lines_max).map(|(index, line)| parse_line(&input.path, index, line));
    let lines = lines.collect::<Result<_>>()?;
    Ok(Log { lines, more: written.next().is_some() })
}

fn parse_line(path: &str, index: usize, line: &str) -> Result<Value> {
    serde_json::from_str(line)
        .map_err(|error| Error::permanent(format!("line {} of {path} is no JSON: {error}", index + 1)))
}

fn read_whole(path: &str) -> Result<String> {
    let bytes = files::read(path, 0, FILE_BYTES_MAX + 1)?;
    if bytes.len() > FILE_BYTES_MAX as usize {
        return Err(Error::permanent(format!("{path} is larger than 2 MiB, the most that a step can read")));
    }
    String::from_utf8(bytes).map_err(|_| Error::permanent(format!("{path} is no text in UTF-8")))
}
