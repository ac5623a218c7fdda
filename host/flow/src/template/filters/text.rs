//! Filters for texts.

use minijinja::{Value as View, filters};

use super::call::{self, Call, Made, within};
use super::{Filter, Group, Work, engines, own};

/// What `split` may make: each part costs a value.
const PARTS_MAX: usize = 100_000;
/// Wider is a page, not a field.
const WIDTH_MAX: usize = 1_000;

pub(super) const GROUP: Group = Group {
    title: "Text",
    about: "Numbers are taken for the text that they are written as. Nothing here is a regular expression.",
    filters: &[
        engines("lower", "In lower case.", &[("'Größe' | lower", "\"größe\"")], |engine, name| {
            engine.add_filter(name, filters::lower);
        }),
        engines("upper", "In upper case.", &[("'abc' | upper", "\"ABC\"")], |engine, name| {
            engine.add_filter(name, filters::upper);
        }),
        engines(
            "title",
            "Each Word Begins With A Capital.",
            &[("'ada LOVELACE' | title", "\"Ada Lovelace\"")],
            |engine, name| {
                engine.add_filter(name, filters::title);
            },
        ),
        engines(
            "capitalize",
            "The first letter is a capital, no other is.",
            &[("'it WORKS' | capitalize", "\"It works\"")],
            |engine, name| {
                engine.add_filter(name, filters::capitalize);
            },
        ),
        Filter {
            name: "trim",
            required: &[],
            optional: &["characters"],
            named: &[],
            about: "Without spaces at both ends, or without these characters.",
            examples: &[("'  a b ' | trim", "\"a b\""), ("'--a--' | trim('-')", "\"a\"")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::trim)),
        },
        own(
            "truncate",
            &["length"],
            &["end"],
            "At most so many characters; a longer text ends in `…`, or in `end`.",
            &[("'It is broken' | truncate(6)", "\"It is…\""), ("'abcdef' | truncate(4, '..')", "\"ab..\"")],
            truncate,
        ),
        own(
            "replace",
            &["from", "to"],
            &[],
            "Every occurrence of one text replaced by another.",
            &[("'a-b-c' | replace('-', '+')", "\"a+b+c\"")],
            replace,
        ),
        own(
            "split",
            &[],
            &["at", "most"],
            "The parts between occurrences of a text, at most so many; without it, the words.",
            &[
                ("'a,b,c' | split(',')", r#"["a", "b", "c"]"#),
                ("'a,b,c' | split(',', 2)", r#"["a", "b,c"]"#),
                ("' two  words ' | split", r#"["two", "words"]"#),
            ],
            split,
        ),
        engines("lines", "The lines of a text.", &[("'a\\nb' | lines", r#"["a", "b"]"#)], |engine, name| {
            engine.add_filter(name, filters::lines);
        }),
        own(
            "pad_left",
            &["width"],
            &["with"],
            "At least so many characters, filled up on the left with spaces or another character.",
            &[("7 | pad_left(3, '0')", "\"007\""), ("'ab' | pad_left(4)", "\"  ab\"")],
            pad_left,
        ),
        own(
            "pad_right",
            &["width"],
            &["with"],
            "The same on the right.",
            &[("'ab' | pad_right(4, '.')", "\"ab..\"")],
            pad_right,
        ),
        own(
            "slug",
            &[],
            &[],
            "Lower-case words with hyphens between, for names in addresses and files.",
            &[("'Größe & Maß, 2. Teil' | slug", "\"grosse-mass-2-teil\"")],
            slug,
        ),
        own(
            "strip_html",
            &[],
            &[],
            "The text of a page: without tags, scripts and styles, with the usual entities read.",
            &[("'<p>Tom &amp; <b>Ada</b></p>' | strip_html", "\"Tom & Ada\"")],
            strip_html,
        ),
    ],
};

fn truncate(call: &Call<'_>) -> Made {
    let text = call.text()?;
    let length = call.count(0, "length", 0, usize::MAX)?.unwrap_or_default();
    if text.chars().count() <= length {
        return Ok(View::from(text));
    }
    let end = call.optional_text(1, "end")?.unwrap_or_else(|| "…".to_owned());
    let kept = length.saturating_sub(end.chars().count());
    let cut: String = text.chars().take(kept).collect();
    Ok(View::from(cut.trim_end().to_owned() + &end.chars().take(length).collect::<String>()))
}

fn replace(call: &Call<'_>) -> Made {
    let (text, from, to) = (call.text()?, call.text_at(0, "from")?, call.text_at(1, "to")?);
    if from.is_empty() {
        return Err("expects something to replace, got an empty text".to_owned());
    }
    let hits = text.matches(&from).count();
    within(text.len().saturating_add(hits.saturating_mul(to.len())))?;
    Ok(View::from(text.replace(&from, &to)))
}

fn split(call: &Call<'_>) -> Made {
    let text = call.text()?;
    let most = call.count(1, "most", 1, PARTS_MAX)?;
    let parts: Vec<View> = match (call.optional_text(0, "at")?.as_deref(), most) {
        (None, _) => text.split_whitespace().take(PARTS_MAX + 1).map(View::from).collect(),
        (Some(""), _) => return Err("expects something to split at, got an empty text".to_owned()),
        (Some(at), Some(most)) => text.splitn(most, at).map(View::from).collect(),
        (Some(at), None) => text.split(at).take(PARTS_MAX + 1).map(View::from).collect(),
    };
    if parts.len() > PARTS_MAX {
        return Err(format!("makes more than {PARTS_MAX} parts"));
    }
    Ok(parts.into())
}

fn pad_left(call: &Call<'_>) -> Made {
    let (text, padding) = padding(call)?;
    call::made(padding + &text)
}

fn pad_right(call: &Call<'_>) -> Made {
    let (text, padding) = padding(call)?;
    call::made(text + &padding)
}

fn padding(call: &Call<'_>) -> Result<(String, String), String> {
    let text = call.text()?;
    let width = call.count(0, "width", 0, WIDTH_MAX)?.unwrap_or_default();
    let with = call.optional_text(1, "with")?.unwrap_or_else(|| " ".to_owned());
    if with.chars().count() != 1 {
        return Err(format!("expects one character to fill up with, got {with:?}"));
    }
    let missing = width.saturating_sub(text.chars().count());
    Ok((text, with.repeat(missing)))
}

fn slug(call: &Call<'_>) -> Made {
    let text = call.text()?;
    let mut slug = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        match plain(letter) {
            Some(plain) => slug.push_str(plain),
            None if letter.is_alphanumeric() => slug.push(letter),
            None if matches!(letter, '\'' | '’') => {}
            None if slug.is_empty() || slug.ends_with('-') => {}
            None => slug.push('-'),
        }
    }
    call::made(slug.trim_end_matches('-').to_owned())
}

/// Latin letters with marks, without them. Other scripts keep their letters, so that no
/// title becomes nothing.
fn plain(letter: char) -> Option<&'static str> {
    let found = match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' => "o",
        'œ' => "oe",
        'ř' => "r",
        'ś' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    };
    Some(found)
}

/// Reads tags as browsers find them: `<` before a letter, `/`, `!` or `?` opens one.
fn strip_html(call: &Call<'_>) -> Made {
    let html = call.text()?;
    let mut text = String::with_capacity(html.len());
    let mut rest = html.as_str();
    while let Some(open) = rest.find('<') {
        let after = &rest[open + 1..];
        if !after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            text.push_str(&rest[..=open]);
            rest = after;
            continue;
        }
        text.push_str(&rest[..open]);
        let name: String = after.chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let close = match name.as_str() {
            "script" | "style" => end_of(after, &name),
            _ if after.starts_with("!--") => after.find("-->").map(|at| at + 2),
            _ => after.find('>'),
        };
        rest = close.map_or("", |at| &after[at + 1..]);
    }
    text.push_str(rest);
    call::made(unescape(&text))
}

/// Where the tag ends that closes this element, upper or lower case.
fn end_of(text: &str, name: &str) -> Option<usize> {
    let is_of = |at: usize| text.get(at + 2..at + 2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
    let (at, _) = text.match_indices("</").find(|(at, _)| is_of(*at))?;
    text[at..].find('>').map(|end| at + end)
}

fn unescape(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&nbsp;", " ")];
    let read = pairs.into_iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain));
    read.replace("&amp;", "&")
}
