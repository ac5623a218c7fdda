//! Changes to documents: as text, as trees, as bytes.

use serde_json::{Map, Value, json};

use crate::choices::Choices;
use crate::corpus::Corpus;

/// Changes of one document; more would leave nothing of it.
const CHANGES_MAX: usize = 6;
/// Deeper than any document may be, and not too deep for the tree's own destructor.
const DEEP: usize = 300;

/// Texts that mean something somewhere, or break readers that are careless.
const WORDS: [&str; 44] = [
    "",
    " ",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "'",
    "\"",
    "\\",
    "\n",
    "\r\n",
    "\t",
    "{",
    "}",
    "[",
    "]",
    "{{",
    "}}",
    "{{ trigger }}",
    "{{ steps.a | default(0) }}",
    "{% for x in range(9999999) %}{% endfor %}",
    "{{ 'a' * 99999999 }}",
    "&a",
    "*a",
    "<<: *a",
    "!!binary",
    "---",
    "...",
    "# ",
    "1e999",
    "-0",
    "18446744073709551616",
    "99999999999999999999d",
    "0x7f",
    "~",
    "null",
    "true",
    ".inf",
    "2026-02-30",
    "https://*",
    "*.a.example",
    "../..",
    "/**",
    "any",
    "{base-url}",
];

/// A document of the corpus, changed in some places or none.
pub(crate) fn text(corpus: &Corpus, choices: &mut Choices<'_>) -> String {
    let mut text = choices.pick(&corpus.texts).clone();
    for _ in 0..choices.below(CHANGES_MAX) {
        text = changed_text(text, corpus, choices);
    }
    text
}

fn changed_text(text: String, corpus: &Corpus, choices: &mut Choices<'_>) -> String {
    let at = border(&text, choices);
    let end = border(&text, choices);
    let (from, to) = (at.min(end), at.max(end));
    match choices.below(7) {
        0 => format!("{}{}{}", &text[..at], choices.pick(&WORDS), &text[at..]),
        1 => format!("{}{}", &text[..from], &text[to..]),
        2 => format!("{}{}{}", &text[..to], &text[from..to], &text[to..]),
        3 => {
            let other = choices.pick(&corpus.texts);
            let cut = border(other, choices);
            format!("{}{}", &text[..at], &other[cut..])
        }
        4 => {
            let some = String::from_utf8_lossy(&choices.bytes(4)).into_owned();
            format!("{}{some}{}", &text[..at], &text[at..])
        }
        5 => lines_swapped(&text, choices),
        _ => text[..at].to_owned(),
    }
}

/// A place between two characters.
fn border(text: &str, choices: &mut Choices<'_>) -> usize {
    let mut at = choices.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn lines_swapped(text: &str, choices: &mut Choices<'_>) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return String::new();
    }
    let (one, other) = (choices.below(lines.len()), choices.below(lines.len()));
    lines.swap(one, other);
    lines.join("\n")
}

/// The tree of a document of the corpus, changed in some places or none.
pub(crate) fn tree(corpus: &Corpus, choices: &mut Choices<'_>) -> Value {
    let mut tree = choices.pick(&corpus.trees).clone();
    for _ in 0..choices.below(CHANGES_MAX) {
        let donor = choices.pick(&corpus.trees);
        let gift = some_part(donor, choices).clone();
        change(part_of(&mut tree, choices), gift, choices);
    }
    tree
}

/// Steps down to a part that chance finds.
fn some_part<'v>(tree: &'v Value, choices: &mut Choices<'_>) -> &'v Value {
    let mut part = tree;
    while !choices.one_in(5) && !choices.is_used_up() {
        part = match part {
            Value::Array(items) if !items.is_empty() => choices.pick(items),
            Value::Object(fields) if !fields.is_empty() => {
                let at = choices.below(fields.len());
                fields.values().nth(at).expect("below their number")
            }
            _ => return part,
        };
    }
    part
}

fn part_of<'v>(tree: &'v mut Value, choices: &mut Choices<'_>) -> &'v mut Value {
    let parts = match &*tree {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    if parts == 0 || choices.one_in(6) || choices.is_used_up() {
        return tree;
    }
    let at = choices.below(parts);
    let part = match tree {
        Value::Array(items) => items.get_mut(at),
        Value::Object(fields) => fields.values_mut().nth(at),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    part_of(part.expect("below their number"), choices)
}

fn change(part: &mut Value, gift: Value, choices: &mut Choices<'_>) {
    match choices.below(8) {
        0 => *part = gift,
        1 => *part = scalar(choices),
        2 => rename_or_remove(part, choices),
        3 => match part {
            Value::Array(items) => items.push(gift),
            Value::Object(fields) => drop(fields.insert(key(fields, choices), gift)),
            _ => *part = json!([part.take(), gift]),
        },
        4 => *part = nested(part.take(), choices),
        5 => match part {
            Value::Array(items) if !items.is_empty() => {
                let again = choices.pick(items).clone();
                items.extend(vec![again; choices.below(40)]);
            }
            _ => *part = gift,
        },
        6 => {
            if let Value::String(text) = part {
                let at = border(text, choices);
                let word: &str = choices.pick::<&str>(&WORDS);
                text.insert_str(at, word);
            }
        }
        _ => {
            if let Value::String(text) = part {
                *text = format!("{{{{ {} }}}}", expression(choices));
            }
        }
    }
}

fn rename_or_remove(part: &mut Value, choices: &mut Choices<'_>) {
    match part {
        Value::Object(fields) if !fields.is_empty() => {
            let at = choices.below(fields.len());
            let name = fields.keys().nth(at).expect("below their number").clone();
            let taken = fields.remove(&name);
            if let Some(value) = taken.filter(|_| choices.one_in(2)) {
                let name = key(fields, choices);
                fields.insert(name, value);
            }
        }
        Value::Array(items) if !items.is_empty() => drop(items.remove(choices.below(items.len()))),
        other => *other = Value::Null,
    }
}

/// A name that is there, nearly there, or strange.
fn key(fields: &Map<String, Value>, choices: &mut Choices<'_>) -> String {
    let known: Vec<&String> = fields.keys().collect();
    let mut name = match known.is_empty() {
        true => String::new(),
        false => (*choices.pick(&known)).clone(),
    };
    match choices.below(3) {
        0 => name.push('s'),
        1 => (*choices.pick(&WORDS)).clone_into(&mut name),
        _ => drop(name.pop()),
    }
    name
}

fn scalar(choices: &mut Choices<'_>) -> Value {
    match choices.below(7) {
        0 => Value::Bool(choices.one_in(2)),
        1 => json!(choices.number()),
        2 => json!(choices.number().cast_signed()),
        3 => json!(f64::from_bits(choices.number())),
        4 => json!("long ".repeat(choices.below(4_000))),
        5 => json!(choices.below(4)),
        _ => json!(choices.pick(&WORDS)),
    }
}

fn nested(inner: Value, choices: &mut Choices<'_>) -> Value {
    let levels = if choices.one_in(4) { DEEP } else { choices.below(12) };
    (0..levels).fold(inner, |inner, _| if levels % 2 == 0 { json!([inner]) } else { json!({ "steps": [inner] }) })
}

/// Something like an expression.
pub(crate) fn expression(choices: &mut Choices<'_>) -> String {
    const PARTS: [&str; 40] = [
        "trigger",
        "steps",
        "loop",
        ".",
        "a",
        "b",
        "[0]",
        "[\"x\"]",
        "|",
        "default(",
        ")",
        "(",
        "0",
        "1.5",
        "'t'",
        "==",
        "and",
        "not",
        "in",
        "if",
        "else",
        "+",
        "-",
        "*",
        "**",
        "//",
        "%",
        "~",
        ",",
        "[",
        "]",
        "{",
        "}",
        ":",
        "tojson",
        "length",
        "range(",
        "is defined",
        "upper",
        "error.code",
    ];
    let parts: Vec<&str> = (0..choices.below(12)).map(|_| *choices.pick(&PARTS)).collect();
    parts.join(if choices.one_in(3) { " " } else { "" })
}

/// One change of bytes; `donor` is spliced in sometimes.
pub(crate) fn bytes(bytes: &mut Vec<u8>, donor: &[u8], choices: &mut Choices<'_>) {
    if bytes.is_empty() {
        bytes.push(choices.byte());
        return;
    }
    let at = choices.below(bytes.len());
    let len = 1 + choices.below(64).min(bytes.len() - at - 1);
    match choices.below(9) {
        0 => bytes[at] ^= 1 << choices.below(8),
        1 => bytes.truncate(at),
        2 => bytes[at..at + len].fill(0),
        3 => drop(bytes.drain(at..at + len)),
        4 => {
            let again = bytes[at..at + len].to_vec();
            drop(bytes.splice(at..at, again));
        }
        5 => {
            let many = choices.below(32);
            let some = choices.bytes(many);
            drop(bytes.splice(at..at, some));
        }
        6 => {
            let many = choices.below(64);
            bytes.extend(choices.bytes(many));
        }
        7 if !donor.is_empty() => {
            let from = choices.below(donor.len());
            let end = donor.len().min(from + 1 + choices.below(512));
            let to = bytes.len().min(at + end - from);
            bytes[at..to].copy_from_slice(&donor[from..from + to - at]);
        }
        _ => bytes[at] = choices.byte(),
    }
}
