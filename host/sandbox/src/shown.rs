//! Text of guests as people may see it: control characters shown, length bounded.
//!
//! Shared by log lines and failures. Knows nothing of secrets: whoever scrubs does so
//! before, on the raw text, where no escape stands inside of a secret.

/// Text with its control characters escaped, for one line.
pub(crate) fn clean(text: &str) -> String {
    if text.contains(is_hidden) { cut(text, usize::MAX, false) } else { text.to_owned() }
}

/// The same, of at most this many characters; no escape is cut in two.
pub(crate) fn line(text: &str, chars_max: usize) -> String {
    cut(text, chars_max, false)
}

/// The same for text that may have several lines.
pub(crate) fn lines(text: &str, chars_max: usize) -> String {
    cut(&text.replace("\r\n", "\n"), chars_max, true)
}

fn cut(text: &str, chars_max: usize, line_breaks: bool) -> String {
    let mut shown = String::with_capacity(text.len().min(chars_max));
    let mut left = chars_max;
    for c in text.chars() {
        let hidden = is_hidden(c) && !(line_breaks && c == '\n');
        let width = if hidden { c.escape_default().len() } else { 1 };
        if width > left {
            break;
        }
        left -= width;
        if hidden { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Control characters, and the marks that reorder text on a screen.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_would_hide() {
        for (text, wanted) in [
            ("plain ünïcode", "plain ünïcode"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}"),
            ("\u{9b}31m\u{202e}\u{2028}\u{2066}\0", "\\u{9b}31m\\u{202e}\\u{2028}\\u{2066}\\u{0}"),
        ] {
            assert_eq!(clean(text), wanted);
            assert_eq!(line(text, 100), wanted);
        }
    }

    #[test]
    fn lines_keep_their_breaks_alone() {
        assert_eq!(lines("at a\r\nat b\n\u{1b}[2J\rc", 100), "at a\nat b\n\\u{1b}[2J\\rc");
    }

    #[test]
    fn what_is_shown_is_counted_and_never_cut_in_two() {
        for (chars_max, wanted) in [(0, ""), (1, "ä"), (6, "ä"), (7, "ä\\u{1b}"), (8, "ä\\u{1b}z"), (99, "ä\\u{1b}z")]
        {
            assert_eq!(line("ä\u{1b}z", chars_max), wanted, "{chars_max}");
        }
    }
}
