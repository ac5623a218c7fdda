//! CSV (RFC 4180), read leniently and written strictly.

/// The records of a text; empty lines are no records. What follows a closing quote, and
/// a quote that is never closed, are taken as they are: a person made the file.
pub(crate) fn parse(text: &str, separator: char) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut record: Vec<String> = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut letters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => end_record(&mut records, &mut record, &mut cell),
            _ if letter == separator && !quoted => record.push(std::mem::take(&mut cell)),
            _ => cell.push(letter),
        }
    }
    end_record(&mut records, &mut record, &mut cell);
    records
}

fn end_record(records: &mut Vec<Vec<String>>, record: &mut Vec<String>, cell: &mut String) {
    if record.is_empty() && cell.is_empty() {
        return;
    }
    record.push(std::mem::take(cell));
    records.push(std::mem::take(record));
}

/// Appends one record and its line break.
pub(crate) fn push_record<'a>(text: &mut String, cells: impl IntoIterator<Item = &'a str>, separator: char) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            text.push(separator);
        }
        if cell.contains(['"', '\n', '\r', separator]) {
            text.push('"');
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(cell);
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_spreadsheets_write() {
        for (text, wanted) in [
            ("", vec![]),
            ("a,b\n1,2\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("\u{feff}a,b\r\n1,2", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a\n\n\"x,\"\"y\"\"\nz\"\n", vec![vec!["a"], vec!["x,\"y\"\nz"]]),
            ("a,\n,b\n", vec![vec!["a", ""], vec!["", "b"]]),
            ("5\" pipe,b\n", vec![vec!["5\" pipe", "b"]]),
            ("\"open,b\n", vec![vec!["open,b\n"]]),
        ] {
            assert_eq!(parse(text, ','), wanted, "{text:?}");
        }
        assert_eq!(parse("a;b,c", ';'), [["a", "b,c"]]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let records = [vec!["plain", "with, comma"], vec!["\"quoted\"", "two\nlines"], vec!["ü", "x\r"]];
        let mut text = String::new();
        records.iter().for_each(|record| push_record(&mut text, record.iter().copied(), ','));
        assert_eq!(parse(&text, ','), records);
    }
}
