//! URLs that two readers read in two ways, from the data file.

use anyhow::{Context as _, Result};

const TEXT: &str = include_str!("../data/tricks.txt");

/// The templates, escapes resolved. `{}` stands for the host, `{port}` for the port.
pub(crate) fn templates() -> Result<Vec<String>> {
    let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| unescape(line).with_context(|| format!("trick {line:?}"))).collect()
}

/// The template with a host in it.
pub(crate) fn fill(template: &str, host: &str, port: u16) -> String {
    template.replace("{}", host).replace("{port}", &port.to_string())
}

/// A backslash that begins no escape stands for itself.
fn unescape(line: &str) -> Option<String> {
    let (mut text, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.bytes().next() {
            Some(b't') => text.push('\t'),
            Some(b'n') => text.push('\n'),
            Some(b'r') => text.push('\r'),
            Some(b'x') if rest.get(1..3).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())) => {
                text.push(char::from(u8::from_str_radix(&rest[1..3], 16).ok()?));
                rest = &rest[2..];
            }
            Some(b'u') if rest.starts_with("u{") => {
                let end = rest.find('}')?;
                text.push(char::from_u32(u32::from_str_radix(&rest[2..end], 16).ok()?)?);
                rest = &rest[end..];
            }
            _ => {
                text.push('\\');
                continue;
            }
        }
        rest = &rest[1..];
    }
    text.push_str(rest);
    Some(text)
}
