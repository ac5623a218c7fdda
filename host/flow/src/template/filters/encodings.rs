//! Filters that write a text in another alphabet, or name it by its digest.

use minijinja::Value as View;
use model::Digest;

use super::call::{self, Call, Made, words};
use super::{Group, own};

/// RFC 4648, section 4.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) const GROUP: Group = Group {
    title: "Encodings",
    about: "Texts are encoded as UTF-8; what does not decode to UTF-8 is refused.",
    filters: &[
        own("base64_encode", &[], &[], "In Base64.", &[("'Ada' | base64_encode", "\"QWRh\"")], |call| {
            call::made(to_base64(call.text()?.as_bytes()))
        }),
        own(
            "base64_decode",
            &[],
            &[],
            "The text that Base64 stands for, in either alphabet.",
            &[("'QWRh' | base64_decode", "\"Ada\"")],
            base64_decode,
        ),
        own("hex_encode", &[], &[], "In hexadecimal digits.", &[("'Ada' | hex_encode", "\"416461\"")], |call| {
            call::made(call.text()?.bytes().map(|byte| format!("{byte:02x}")).collect())
        }),
        own(
            "hex_decode",
            &[],
            &[],
            "The text that hexadecimal digits stand for.",
            &[("'416461' | hex_decode", "\"Ada\"")],
            |call| decoded(call, "hexadecimal digits", of_hex),
        ),
        own(
            "url_encode",
            &[],
            &[],
            "As one part of a web address: a segment, or a value of the query.",
            &[("'a b/ü' | url_encode", "\"a%20b%2F%C3%BC\"")],
            |call| call::made(to_url(&call.text()?)),
        ),
        own(
            "url_decode",
            &[],
            &[],
            "The text that such a part stands for.",
            &[("'a%20b' | url_decode", "\"a b\"")],
            |call| decoded(call, "a part of a web address", of_url),
        ),
        own(
            "sha256",
            &[],
            &[],
            "The SHA-256 digest in hexadecimal digits.",
            &[("'abc' | sha256", "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"")],
            |call| Ok(View::from(Digest::of(call.text()?.as_bytes()).to_hex())),
        ),
    ],
};

fn base64_decode(call: &Call<'_>) -> Made {
    decoded(call, "Base64", of_base64)
}

fn decoded(call: &Call<'_>, expected: &str, decode: impl FnOnce(&str) -> Option<Vec<u8>>) -> Made {
    let wrong = |why: &str| format!("expects {expected}{why}, got {}", words(call.value));
    let text = call.value.as_str().ok_or_else(|| wrong(""))?;
    let bytes = decode(text).ok_or_else(|| wrong(""))?;
    String::from_utf8(bytes).map(View::from).map_err(|_| wrong(" of a text in UTF-8"))
}

fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let byte = |at: usize| u32::from(part.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = (bits >> (18 - 6 * at)) & 63;
            let is_padding = at > part.len();
            text.push(if is_padding { '=' } else { char::from(ALPHABET[digit as usize]) });
        }
    }
    text
}

/// Both alphabets, with padding or without; bits that stand for nothing are zero.
fn of_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().trim_end_matches('=').bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for digit in digits {
        let plain = match digit {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
        let value = ALPHABET.iter().position(|known| *known == plain)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (held < 6 && bits == 0).then_some(bytes)
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.trim().chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    });
    pairs.collect()
}

/// What is not "unreserved" in RFC 3986 as its bytes.
fn to_url(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn of_url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? << 4 | digit()?).ok()?);
    }
    Some(bytes)
}
