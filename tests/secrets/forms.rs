//! Every form in which a service may hand a secret back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Lines of one family of encodings, each with the secret in it.
pub(crate) fn family(name: &str, secret: &str) -> Vec<String> {
    match name {
        "plain" => vec![secret.to_owned(), format!("token={secret}&x=1"), format!("<<{secret}{secret}>>")],
        "base64" => base64(secret),
        "hex" => {
            let (lower, upper) = (hex::encode(secret), hex::encode_upper(secret));
            vec![format!("00{lower}ff"), format!("0x{upper}")]
        }
        "url" => url(secret),
        "json" => json(secret),
        other => panic!("no family {other}"),
    }
}

pub(crate) const FAMILIES: [&str; 5] = ["plain", "base64", "hex", "url", "json"];

/// All of them.
pub(crate) fn everything(secret: &str) -> Vec<String> {
    FAMILIES.iter().flat_map(|name| family(name, secret)).collect()
}

/// At each of the three alignments, with up to two bytes after it, in both alphabets, with
/// padding and without.
fn base64(secret: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for lead in ["", "k", "k:"] {
        for tail in ["", "y", "yz"] {
            let text = format!("{lead}{secret}{tail}");
            lines.extend([STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|engine| engine.encode(&text)));
        }
    }
    // In a URL, and as a cookie might have it.
    lines.push(percent(&STANDARD.encode(secret), |byte| byte.is_ascii_alphanumeric(), true));
    lines
}

fn url(secret: &str) -> Vec<String> {
    let component = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    let strict = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    vec![
        percent(secret, component, true),
        percent(secret, strict, false),
        percent(secret, strict, true).replace("%20", "+"),
        percent(secret, |_| false, true),
        percent(secret, |_| false, false),
        // What a careless writer leaves as it is.
        percent(secret, |byte| byte.is_ascii_graphic() && byte != b'%', true),
    ]
}

fn percent(text: &str, keeps: impl Fn(u8) -> bool, upper: bool) -> String {
    let quote = |byte: u8| match (keeps(byte), upper) {
        (true, _) => char::from(byte).to_string(),
        (false, true) => format!("%{byte:02X}"),
        (false, false) => format!("%{byte:02x}"),
    };
    text.bytes().map(quote).collect()
}

fn json(secret: &str) -> Vec<String> {
    let usual = serde_json::Value::from(secret).to_string();
    vec![
        usual.clone(),
        usual.replace('/', "\\/"),
        escaped(secret, |c| !c.is_ascii() || "\"\\".contains(c), false),
        escaped(secret, |c| !c.is_ascii() || "\"\\<>&'".contains(c), true),
        escaped(secret, |_| true, false),
        escaped(secret, |_| true, true),
    ]
}

/// `\u00e9` for these, a pair of them for what needs one.
fn escaped(text: &str, quotes: impl Fn(char) -> bool, upper: bool) -> String {
    let mut units = [0; 2];
    let mut quote = |c: char| match quotes(c) {
        false => c.to_string(),
        true => {
            let units = c.encode_utf16(&mut units).iter();
            units.map(|unit| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") }).collect()
        }
    };
    format!("\"{}\"", text.chars().map(&mut quote).collect::<String>())
}

/// What is searched for: the forms that the proof names, at every alignment.
pub(crate) fn needles(secret: &str) -> Vec<Vec<u8>> {
    let mut needles = vec![secret.to_owned(), hex::encode(secret), hex::encode_upper(secret)];
    for (lead, engine) in [0, 1, 2].into_iter().flat_map(|lead| [(lead, STANDARD_NO_PAD), (lead, URL_SAFE_NO_PAD)]) {
        let text: Vec<u8> = std::iter::repeat_n(0, lead).chain(secret.bytes()).collect();
        // Without the digits that what stands before or after it changes.
        let digits = engine.encode(&text);
        let inner = &digits[(lead * 8).div_ceil(6)..text.len() * 8 / 6];
        needles.extend([inner.to_owned(), percent(inner, |byte| byte.is_ascii_alphanumeric(), true)]);
    }
    needles.extend(family("url", secret));
    // Without the quotes around it; those of the secret itself are escaped, and stay.
    needles.extend(family("json", secret).iter().map(|text| text[1..text.len() - 1].to_owned()));
    needles.sort();
    needles.dedup();
    needles.into_iter().map(String::into_bytes).collect()
}
