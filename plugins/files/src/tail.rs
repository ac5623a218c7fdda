//! The end of a file, to find out whether something was appended already.

use sluicegate_sdk::{Error, Result, context, files};

/// How far back the first attempt looks: there is hardly ever something to find, and
/// the cost of an append must not grow with the file.
const FIRST_BYTES: u64 = 64 << 10;
/// How far back a repeated attempt looks. Between the attempts, other runs would have
/// to append more than this for a repetition to go unnoticed.
const REPEATED_BYTES: u64 = 8 << 20;

/// The end of a file.
pub(crate) struct Tail {
    /// The last lines, whole ones: neither a first nor a last line that is cut off.
    pub(crate) lines: String,
    /// Whether there is something in the file.
    pub(crate) exists: bool,
    /// Whether the last line is cut off: whoever wrote it was stopped.
    pub(crate) torn: bool,
}

/// Reads the end of a file; a file that is not there is empty.
pub(crate) fn read(path: &str) -> Result<Tail> {
    let size = size_of(path)?;
    let reach = if context::current().attempt > 1 { REPEATED_BYTES } else { FIRST_BYTES };
    let offset = size.saturating_sub(reach);
    let bytes = match size {
        0 => Vec::new(),
        _ => files::read(path, offset, u32::try_from(reach).unwrap_or(u32::MAX))?,
    };
    Ok(whole_lines(&String::from_utf8_lossy(&bytes), offset > 0))
}

fn whole_lines(text: &str, cut: bool) -> Tail {
    let start = if cut { text.find('\n').map_or(text.len(), |at| at + 1) } else { 0 };
    let end = text.rfind('\n').map_or(0, |at| at + 1);
    let lines = text.get(start..end).unwrap_or_default().to_owned();
    Tail { lines, exists: cut || !text.is_empty(), torn: end < text.len() }
}

/// The folder knows; 0 when there is no such file, or no such folder yet.
fn size_of(path: &str) -> Result<u64> {
    let Some((folder, name)) = path.rsplit_once('/') else {
        return Err(Error::invalid_input("/path", "an opened folder, a slash, and a file's name", format!("{path:?}")));
    };
    match files::list(folder) {
        Ok(entries) => Ok(entries.iter().find(|entry| entry.name == name).map_or(0, |entry| entry.bytes)),
        Err(files::FileError::NotFound(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_count() {
        for (text, cut, lines, exists, torn) in [
            ("", false, "", false, false),
            ("a\nb\n", false, "a\nb\n", true, false),
            ("a\nb", false, "a\n", true, true),
            ("a\nb\n", true, "b\n", true, false),
            ("ab", true, "", true, true),
            ("ab", false, "", true, true),
        ] {
            let tail = whole_lines(text, cut);
            assert_eq!((&*tail.lines, tail.exists, tail.torn), (lines, exists, torn), "{text:?} {cut}");
        }
    }
}
