//! Appending rows, lines and texts.
//!
//! An append cannot be undone and a file knows no idempotency key, so rows and lines
//! carry the key themselves, in a column or field of its own: what is at the end of the
//! file already is not appended again. Plain text has no place for a key, and says so.

use std::collections::BTreeSet;

use sluicegate_sdk::serde_json::{self, Map};
use sluicegate_sdk::{Error, Result, Value, action, context, files, object};

use crate::csv;
use crate::plain::{Text, Written};
use crate::read::Separator;
use crate::tail::{self, Tail};

/// The row that names a table's columns is looked for in this much of the file.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// Append a text
///
/// Adds a text to the end of a file, or makes the file. A run that was interrupted here
/// waits for a person, since nothing tells whether the text was added.
#[action(
    effect = create,
    idempotency = none,
    files = write,
    sample = {
        input: { path: "reports/notes.txt", text: "All is well.\n" },
        output: { path: "reports/notes.txt", bytes: 13 },
    },
)]
pub fn append_text(input: Text) -> Result<Written> {
    files::append(&input.path, &input.text)?;
    Ok(Written { path: input.path, bytes: input.text.len() })
}

/// Lines to append to a log.
#[object]
pub struct NewLines {
    /// The file: an opened folder, then its name.
    #[field(label = "File", placeholder = "reports/log.jsonl", order = 1)]
    pub path: String,
    /// The lines, each with the fields you like.
    #[field(widget = "json", order = 2)]
    pub lines: Vec<Map<String, Value>>,
    /// The field that tells lines apart; it is filled in by itself.
    #[serde(default = "default_key")]
    #[field(label = "Key field", advanced, order = 3)]
    pub key_field: String,
}

/// Rows to append to a table.
#[object]
pub struct NewRows {
    /// The file: an opened folder, then its name.
    #[field(label = "File", placeholder = "reports/today.csv", order = 1)]
    pub path: String,
    /// The rows, each with its cells under the columns' names.
    #[field(widget = "json", order = 2)]
    pub rows: Vec<Map<String, Value>>,
    /// The column that tells rows apart; it is filled in by itself.
    #[serde(default = "default_key")]
    #[field(label = "Key column", advanced, order = 3)]
    pub key_column: String,
    /// What stands between the columns: a comma, a semicolon, or a tab.
    #[serde(default)]
    #[field(label = "Separator", advanced, order = 4)]
    pub separator: Separator,
}

fn default_key() -> String {
    "key".to_owned()
}

/// What was appended.
#[object]
pub struct Appended {
    /// The file.
    #[field(label = "File")]
    pub path: String,
    /// How many are new.
    pub appended: usize,
    /// How many an earlier attempt of the same step had appended.
    #[field(label = "Already there")]
    pub already_there: usize,
}

/// Append to a log (JSON lines)
///
/// Adds lines to the end of a file of JSON lines, or makes the file. Each line gets a
/// key of its own, so that a step that is repeated adds nothing twice.
#[action(
    effect = create,
    idempotency = key("the key field of each line"),
    files = write,
    sample = {
        input: { path: "reports/log.jsonl", lines: [{ name: "Ada", count: 2 }] },
        output: { path: "reports/log.jsonl", appended: 1, already_there: 0 },
    },
)]
pub fn append_json_lines(input: NewLines) -> Result<Appended> {
    refuse_own_key("/lines", &input.lines, &input.key_field)?;
    let tail = tail::read(&input.path)?;
    let known: BTreeSet<String> = tail.lines.lines().filter_map(|line| key_of(line, &input.key_field)).collect();
    let mut text = start_of(&tail);
    let mut appended = 0;
    for (key, mut line) in keys(input.lines.len()).into_iter().zip(input.lines.clone()) {
        if !known.contains(&key) {
            line.insert(input.key_field.clone(), Value::String(key));
            text.push_str(&Value::Object(line).to_string());
            text.push('\n');
            appended += 1;
        }
    }
    finish(input.path, &text, appended, input.lines.len())
}

/// Append to a table (CSV)
///
/// Adds rows to the end of a CSV file, or makes the file. Each row gets a key of its
/// own, so that a step that is repeated adds nothing twice; the file needs a column for
/// it.
#[action(
    effect = create,
    idempotency = key("the key column of each row"),
    files = write,
    sample = {
        input: { path: "reports/today.csv", rows: [{ name: "Ada", count: 2 }] },
        output: { path: "reports/today.csv", appended: 1, already_there: 0 },
    },
)]
pub fn append_csv(input: NewRows) -> Result<Appended> {
    refuse_own_key("/rows", &input.rows, &input.key_column)?;
    let separator = input.separator.as_char();
    let tail = tail::read(&input.path)?;
    let mut text = start_of(&tail);
    let columns = match tail.exists {
        true => read_columns(&input)?,
        false => {
            let columns = new_columns(&input);
            csv::push_record(&mut text, columns.iter().map(String::as_str), separator);
            columns
        }
    };
    let at = key_position(&input, &columns)?;
    let known: BTreeSet<String> =
        csv::parse(&tail.lines, separator).into_iter().filter_map(|record| record.into_iter().nth(at)).collect();
    let mut appended = 0;
    for (key, row) in keys(input.rows.len()).into_iter().zip(&input.rows) {
        if !known.contains(&key) {
            let cells = columns.iter().enumerate().map(|(index, column)| match index == at {
                true => key.clone(),
                false => to_cell(row.get(column)),
            });
            csv::push_record(&mut text, cells.collect::<Vec<_>>().iter().map(String::as_str), separator);
            appended += 1;
        }
    }
    finish(input.path, &text, appended, input.rows.len())
}

/// One key for each thing: the same in every attempt of one step, and nowhere else.
fn keys(count: usize) -> Vec<String> {
    let key = context::current().idempotency_key;
    match count {
        1 => vec![key],
        _ => (1..=count).map(|number| format!("{key}/{number}")).collect(),
    }
}

fn refuse_own_key(path: &str, things: &[Map<String, Value>], key: &str) -> Result<()> {
    match things.iter().position(|thing| thing.contains_key(key)) {
        Some(index) => Err(Error::invalid_input(
            &format!("{path}/{index}/{}", key.replace('~', "~0").replace('/', "~1")),
            "nothing: it is filled in by itself; name another key field to keep yours",
            "a value",
        )),
        None => Ok(()),
    }
}

/// What an interrupted writer left stays on a line of its own.
fn start_of(tail: &Tail) -> String {
    if tail.torn { "\n".to_owned() } else { String::new() }
}

fn key_of(line: &str, field: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.get(field)?.as_str().map(str::to_owned)
}

fn new_columns(input: &NewRows) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for name in input.rows.iter().flat_map(Map::keys) {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    columns.push(input.key_column.clone());
    columns
}

fn read_columns(input: &NewRows) -> Result<Vec<String>> {
    let start = files::read(&input.path, 0, HEADER_BYTES_MAX)?;
    let records = csv::parse(&String::from_utf8_lossy(&start), input.separator.as_char());
    let columns = records.into_iter().next().unwrap_or_default();
    for (index, row) in input.rows.iter().enumerate() {
        if let Some(name) = row.keys().find(|name| !columns.contains(name)) {
            let expected = format!("one of the columns {}", columns.join(", "));
            return Err(Error::invalid_input(&format!("/rows/{index}"), expected, format!("a column {name:?}")));
        }
    }
    Ok(columns)
}

fn key_position(input: &NewRows, columns: &[String]) -> Result<usize> {
    columns.iter().position(|column| *column == input.key_column).ok_or_else(|| {
        let NewRows { path, key_column, .. } = input;
        Error::conflict(format!(
            "{path} has no column {key_column:?}: add it to its first row, or name another key column"
        ))
    })
}

fn to_cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn finish(path: String, text: &str, appended: usize, asked: usize) -> Result<Appended> {
    if appended > 0 {
        files::append(&path, text)?;
    }
    Ok(Appended { path, appended, already_there: asked - appended })
}
