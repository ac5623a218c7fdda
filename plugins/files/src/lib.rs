//! Files: lists, texts, tables and logs in folders that an administrator opened.
//!
//! Owns formats: CSV, JSON lines, plain text. Which folders there are, and whether they
//! may be written, is the grant's; the host opens every file.

mod append;
mod csv;
mod plain;
mod read;
mod tail;
#[cfg(test)]
mod tests;
mod watch;

use sluicegate_sdk::connector;

pub use append::{append_csv, append_json_lines, append_text};
pub use plain::{list, write_text};
pub use read::{read_csv, read_json_lines, read_text};
pub use watch::{file_changed, new_file};

connector! {
    id: "files",
    label: "Files",
    publisher: "Sluicegate",
    support: {
        owner: "Sluicegate",
        contact: "https://github.com/sluicegate/sluicegate/issues",
        policy: "community",
    },
    categories: ["files", "tables"],
    purpose: "Reads and writes files in folders that an administrator opened: texts, tables as CSV, and logs as JSON lines. Starts flows when files appear or change there.",
    data: "Whatever the files hold, and whatever a flow writes into them.",
    risks: [
        "Write a text replaces what the file held before.",
        "A table opened in a spreadsheet program may run formulas that came from strangers.",
    ],
    actions: [list, read_text, read_csv, read_json_lines, write_text, append_text, append_csv, append_json_lines],
    polls: [new_file, file_changed],
    limits: { requests: 0 },
}
