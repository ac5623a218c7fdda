//! Finds the expressions in a text and the tokens in an expression.
//!
//! Knows as much of the expression language as it takes to find names: strings,
//! numbers, names and punctuation. The engine has the last word on grammar.

/// A part of a text.
#[derive(Debug, PartialEq)]
pub(super) enum Part<'a> {
    Literal(&'a str),
    /// What stands between `{{` and `}}`.
    Expression(&'a str),
}

/// A token and where it stands in the expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'a> {
    Name(&'a str),
    /// A string literal's content; None when it has escapes.
    Text(Option<&'a str>),
    Number(&'a str),
    Mark(&'a str),
}

/// Splits a text at its expressions.
pub(super) fn split(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        if open > 0 {
            parts.push(Part::Literal(&rest[..open]));
        }
        let body = &rest[open + 2..];
        let close = find_close(body)
            .ok_or_else(|| format!("the expression that begins {:?} has no end: \"}}}}\" is missing", cut(body)))?;
        parts.push(Part::Expression(body[..close].trim()));
        rest = &body[close + 2..];
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    Ok(parts)
}

/// Where the `}}` is that closes the expression: outside strings and inner braces.
fn find_close(body: &str) -> Option<usize> {
    let bytes = body.as_bytes();
    let mut at = 0;
    let mut depth = 0_usize;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => at = string_end(bytes, at, quote)?,
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the string that opens at `start` closes.
fn string_end(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == quote => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The tokens of an expression.
pub(super) fn tokens(source: &str) -> Result<Vec<Token<'_>>, String> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let kind = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            quote @ (b'"' | b'\'') => {
                let end = string_end(bytes, at, quote).ok_or("a string has no closing quote")?;
                at = end + 1;
                let text = &source[start + 1..end];
                Kind::Text((!text.contains('\\')).then_some(text))
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                at = end_of(bytes, at, |b| b.is_ascii_alphanumeric() || b == b'_');
                Kind::Name(&source[start..at])
            }
            byte if byte.is_ascii_digit() => {
                at = end_of(bytes, at, |b| b.is_ascii_alphanumeric() || b == b'_');
                Kind::Number(&source[start..at])
            }
            byte if byte.is_ascii() => {
                let two = source.get(at..at + 2).filter(|two| matches!(*two, "==" | "!=" | "<=" | ">=" | "//" | "**"));
                at += two.map_or(1, str::len);
                Kind::Mark(&source[start..at])
            }
            _ => return Err(format!("the character {:?} can stand only in a string", first_char(&source[at..]))),
        };
        tokens.push(Token { kind, start, end: at });
    }
    Ok(tokens)
}

fn end_of(bytes: &[u8], from: usize, part: impl Fn(u8) -> bool) -> usize {
    from + bytes[from..].iter().take_while(|byte| part(**byte)).count()
}

fn first_char(text: &str) -> char {
    text.chars().next().unwrap_or(' ')
}

/// Enough of a text to know it by.
fn cut(text: &str) -> String {
    text.chars().take(30).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_end_outside_strings_and_braces() {
        for (text, wanted) in [
            ("plain", vec![Part::Literal("plain")]),
            ("{{ a }}", vec![Part::Expression("a")]),
            ("x{{ a }}y", vec![Part::Literal("x"), Part::Expression("a"), Part::Literal("y")]),
            ("{{ '}}' }}", vec![Part::Expression("'}}'")]),
            ("{{ {'a': {}} }}", vec![Part::Expression("{'a': {}}")]),
            ("{{a}}{{b}}", vec![Part::Expression("a"), Part::Expression("b")]),
            ("{% if %} {# #}", vec![Part::Literal("{% if %} {# #}")]),
        ] {
            assert_eq!(split(text).expect(text), wanted, "{text}");
        }
        for text in ["{{ a", "{{ 'a }}", "{{ {a }}"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
