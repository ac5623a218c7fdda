//! What one call wrote: log lines, standard output and error, up to the granted bytes.
//!
//! A flood is cut with one line that says so; it is never an error. Text is kept as it
//! came: whoever finishes the log makes it fit to be seen.

use serde::{Deserialize, Serialize};

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// For the connector's developer.
    Debug,
    /// What happened.
    Info,
    /// What may matter.
    Warn,
    /// What went wrong.
    Error,
}

/// One line that a call wrote. Scrubbed of the connection's credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// From the start of the call, in milliseconds.
    pub offset_ms: u64,
    /// How important it is.
    pub level: LogLevel,
    /// The text; control characters are shown escaped.
    pub message: String,
    /// Named values beside it, shown in the same way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
}

/// The tail of standard error that becomes a crash's message: a panic's text and
/// its place fit into 2 KiB.
const TAIL_BYTES: usize = 2 << 10;
/// One line is at most this long; longer output is split. 8 KiB: a stack trace.
const LINE_BYTES_MAX: usize = 8 << 10;
/// Charged for each line, so that empty lines are not free.
const LINE_COST: usize = 32;

/// A stream of the guest's standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// What one call has written so far.
#[derive(Debug)]
pub(crate) struct CallLog {
    lines: Vec<LogLine>,
    left: usize,
    limit: usize,
    cut: bool,
    out: Vec<u8>,
    err: Vec<u8>,
    tail: Vec<u8>,
}

impl CallLog {
    /// An empty log for this many bytes.
    pub(crate) fn new(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let empty = Vec::new;
        Self { lines: Vec::new(), left: limit, limit, cut: false, out: empty(), err: empty(), tail: empty() }
    }

    /// Adds a line, as long as there is room.
    pub(crate) fn line(&mut self, offset_ms: u64, level: LogLevel, message: &str, fields: &[(String, String)]) {
        let cost = fields.iter().fold(LINE_COST + message.len(), |sum, (name, value)| sum + name.len() + value.len());
        if cost > self.left {
            return self.cut_off(offset_ms);
        }
        self.left -= cost;
        let fields = fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        self.lines.push(LogLine { offset_ms, level, message: message.to_owned(), fields });
    }

    /// Adds standard output; a line is kept when it ends.
    pub(crate) fn write(&mut self, offset_ms: u64, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Err {
            self.keep_tail(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.cut {
                return;
            }
            let room = LINE_BYTES_MAX - self.pending(stream).len();
            let (head, rest) = piece.split_at(piece.len().min(room));
            self.pending(stream).extend_from_slice(head);
            if piece.ends_with(b"\n") || !rest.is_empty() {
                self.end_line(offset_ms, stream);
            }
        }
    }

    /// The last words on standard error, as they came.
    pub(crate) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).trim().to_owned()
    }

    /// Everything, unfinished lines too; each text as `show` tells it.
    pub(crate) fn finish(&mut self, offset_ms: u64, show: impl Fn(&str) -> String) -> Vec<LogLine> {
        for stream in [Stream::Out, Stream::Err] {
            if !self.pending(stream).is_empty() {
                self.end_line(offset_ms, stream);
            }
        }
        let mut lines = std::mem::take(&mut self.lines);
        for LogLine { message, fields, .. } in &mut lines {
            let names_and_values = fields.iter_mut().flat_map(|(name, value)| [name, value]);
            names_and_values.chain([message]).for_each(|text| *text = show(text));
        }
        lines
    }

    fn pending(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }

    fn end_line(&mut self, offset_ms: u64, stream: Stream) {
        let bytes = std::mem::take(self.pending(stream));
        let level = if stream == Stream::Err { LogLevel::Warn } else { LogLevel::Info };
        self.line(offset_ms, level, String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']), &[]);
    }

    fn cut_off(&mut self, offset_ms: u64) {
        if !std::mem::replace(&mut self.cut, true) {
            let message = format!("the log ends here: the call reached its limit log_bytes = {}", self.limit);
            self.lines.push(LogLine { offset_ms, level: LogLevel::Warn, message, fields: Vec::new() });
        }
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
        if self.tail.len() > 2 * TAIL_BYTES {
            self.tail.drain(..self.tail.len() - TAIL_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(log: &mut CallLog) -> Vec<String> {
        log.finish(0, str::to_owned).into_iter().map(|line| line.message).collect()
    }

    #[test]
    fn joins_pieces_into_lines() {
        let mut log = CallLog::new(1_000);
        log.write(0, Stream::Out, b"one\ntw");
        log.write(0, Stream::Err, b"oops\r\n");
        log.write(0, Stream::Out, b"o\nthree");
        assert_eq!(messages(&mut log), ["one", "oops", "two", "three"]);
    }

    #[test]
    fn a_flood_is_cut_with_one_line() {
        let mut log = CallLog::new(200);
        for _ in 0..1_000 {
            log.line(0, LogLevel::Info, "0123456789", &[]);
            log.write(0, Stream::Err, b"flood\n");
        }
        let messages = messages(&mut log);
        assert!(messages.len() < 8, "{messages:?}");
        assert_eq!(
            messages.last().map(String::as_str),
            Some("the log ends here: the call reached its limit log_bytes = 200")
        );
        assert!(log.tail().ends_with("flood"), "the last words are kept all the same");
    }

    #[test]
    fn a_line_without_end_is_split() {
        let mut log = CallLog::new(100_000);
        log.write(0, Stream::Out, &[b'x'; 20_000]);
        let lines = messages(&mut log);
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX));
    }

    #[test]
    fn forged_lines_are_shown() {
        let mut log = CallLog::new(1_000);
        log.line(0, LogLevel::Info, "a\nb\u{1b}[2J\u{202e}", &[("k\r".to_owned(), "v\0".to_owned())]);
        let lines = log.finish(0, crate::shown::clean);
        assert_eq!(lines[0].message, "a\\nb\\u{1b}[2J\\u{202e}");
        assert_eq!(lines[0].fields, [("k\\r".to_owned(), "v\\u{0}".to_owned())]);
    }
}
