//! Removes secrets from what comes back, in every form that services echo.
//!
//! Looks for the secret itself, for its base64 at each of the three places it can
//! have in a longer text (both alphabets), and for its hexadecimal digits; each
//! also percent-encoded or escaped as in JSON. Works on whole values, and on values in
//! pieces (`stream`), where no border between pieces can hide it.

mod stream;

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;
use model::Credential;
use secrecy::ExposeSecret as _;

pub(crate) use stream::StreamScrubber;

/// What stands where the secret was.
const REDACTED: &[u8] = b"[redacted]";
/// Shorter secrets would be met by chance; the vault refuses them.
const SECRET_BYTES_MIN: usize = 8;

/// Finds secrets in all their forms.
pub(crate) struct Scrubber {
    needles: Vec<Needle>,
}

struct Needle {
    finder: Finder<'static>,
    /// May come with bytes escaped.
    escapable: bool,
    /// Has blanks, which forms send as `+`.
    spaced: bool,
}

impl Scrubber {
    /// For a credential, and for a secret that the host lends the call.
    pub(crate) fn new(credential: &Credential, lent: Option<&str>) -> Self {
        let long = |secret: &&str| secret.len() >= SECRET_BYTES_MIN;
        let secrets: Vec<&str> = credential.secret().into_iter().chain(lent).filter(long).collect();
        let mut forms: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| forms_of(secret)).collect();
        if let Credential::Basic { user, password } = credential
            && long(&password.expose_secret())
        {
            let pair = format!("{user}:{}", password.expose_secret());
            forms.push(STANDARD_NO_PAD.encode(&pair).into_bytes());
            forms.push(URL_SAFE_NO_PAD.encode(&pair).into_bytes());
        }
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        let is_plain = |form: &[u8]| secrets.iter().any(|secret| secret.as_bytes() == form);
        Self { needles: forms.iter().map(|form| Needle::new(form, is_plain(form))).collect() }
    }

    /// The bytes without the secret; borrowed when it is not in them.
    pub(crate) fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let hits = self.hits(bytes);
        if hits.is_empty() { Cow::Borrowed(bytes) } else { Cow::Owned(cut(bytes, hits)) }
    }

    /// Where secrets begin and end, in no order.
    fn hits(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut hits = Vec::new();
        // Without these no escape is possible, and the plain search suffices.
        let escapes = !self.needles.is_empty() && memchr::memchr2(b'%', b'\\', bytes).is_some();
        for needle in &self.needles {
            needle.find(bytes, escapes, &mut hits);
        }
        hits
    }

    /// The same for text.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Whether the secret is in the text.
    pub(crate) fn meets(&self, text: &str) -> bool {
        matches!(self.bytes(text.as_bytes()), Cow::Owned(_))
    }
}

/// One secret as it is, in base64 and in hexadecimal digits.
fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    for lead in 0..3 {
        forms.push(inner_base64(&STANDARD_NO_PAD, secret, lead));
        forms.push(inner_base64(&URL_SAFE_NO_PAD, secret, lead));
    }
    forms.push(hex::encode(secret).into_bytes());
    forms.push(hex::encode_upper(secret).into_bytes());
    forms
}

/// The digits of `secret`'s base64 that do not depend on what stands around it,
/// when `lead` bytes (modulo 3) stand before it.
fn inner_base64(engine: &base64::engine::GeneralPurpose, secret: &str, lead: usize) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(0, lead).chain(secret.bytes()).collect();
    let digits = engine.encode(&padded).into_bytes();
    let first = (lead * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    digits[first..end].to_vec()
}

/// Replaces every hit once; hits that touch or overlap become one.
fn cut(bytes: &[u8], mut hits: Vec<(usize, usize)>) -> Vec<u8> {
    hits.sort_unstable();
    let mut kept = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for (start, end) in hits {
        if start >= at {
            kept.extend_from_slice(&bytes[at..start]);
            kept.extend_from_slice(REDACTED);
        }
        at = at.max(end);
    }
    kept.extend_from_slice(&bytes[at..]);
    kept
}

impl Needle {
    /// Encoders leave letters and digits alone; of the secret itself (`thorough`) not
    /// even that is taken for granted.
    fn new(form: &[u8], thorough: bool) -> Self {
        let escapable = thorough || form.iter().any(|byte| !byte.is_ascii_alphanumeric());
        Self { finder: Finder::new(form).into_owned(), escapable, spaced: form.contains(&b' ') }
    }

    fn find(&self, bytes: &[u8], escapes: bool, hits: &mut Vec<(usize, usize)>) {
        let form = self.finder.needle();
        let mut from = 0;
        // One that begins within another counts too, so that it does not matter where a
        // search begins.
        while let Some(start) = bytes.get(from..).and_then(|rest| self.finder.find(rest)).map(|at| from + at) {
            hits.push((start, start + form.len()));
            from = start + 1;
        }
        if !(self.escapable && escapes || self.spaced) {
            return;
        }
        for start in memchr::memchr3_iter(form[0], b'%', b'\\', bytes) {
            if let Some(length) = escaped_len(&bytes[start..], form) {
                hits.push((start, start + length));
            }
        }
    }
}

/// How many bytes at the start of `text` stand for `form`, any of them escaped.
fn escaped_len(text: &[u8], form: &[u8]) -> Option<usize> {
    let (mut read, mut at) = (0, 0);
    while at < form.len() {
        let mut steps = steps(&text[read..], &form[at..]);
        let (taken, length) = steps.next()?;
        if steps.next().is_some() {
            return read_both_ways(text, form, (at, read));
        }
        (at, read) = (at + taken, read + length);
    }
    Some(read)
}

/// The same from a place on that can be read in two ways: `%25` is a percent sign or three
/// bytes of a secret that has them. Each place is looked at once, and the longest reading
/// counts.
fn read_both_ways(text: &[u8], form: &[u8], from: (usize, usize)) -> Option<usize> {
    let (mut open, mut longest) = (BTreeSet::from([from]), None);
    while let Some((at, read)) = open.pop_first() {
        if at == form.len() {
            longest = longest.max(Some(read));
            continue;
        }
        open.extend(steps(&text[read..], &form[at..]).map(|(taken, length)| (at + taken, read + length)));
    }
    longest
}

/// The ways in which the beginning of `text` stands for that of `form`: how many bytes of
/// `form`, by how many of `text`.
fn steps(text: &[u8], form: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let wanted = form[0];
    let plain = (text.first() == Some(&wanted)).then_some((1, 1));
    let is = |byte: Option<u8>, length: usize| (byte == Some(wanted)).then_some((1, length));
    let escaped = match *text {
        [b'%', high, low, ..] => is(hex_byte([high, low]), 3),
        [b'\\', b'u', ..] => character(text).and_then(|(character, length)| {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            // Bytes that were taken for characters, one each, are written so too.
            let byte = u8::try_from(u32::from(character)).ok();
            form.starts_with(bytes).then_some((bytes.len(), length)).or(is(byte, length))
        }),
        [b'\\', byte, ..] => is(Some(byte), 2),
        [b'+', ..] => is(Some(b' '), 1),
        _ => None,
    };
    plain.into_iter().chain(escaped)
}

/// The character of `\u00e9`, or of two such where one does not suffice (RFC 8259, 7).
fn character(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| match text.get(at..at + 6)? {
        [b'\\', b'u', a, b, c, d] => Some(u16::from_be_bytes([hex_byte([*a, *b])?, hex_byte([*c, *d])?])),
        _ => None,
    };
    let units = [unit(0)?, unit(6).unwrap_or_default()];
    let character = char::decode_utf16(units).next()?.ok()?;
    Some((character, 6 * character.len_utf16()))
}

fn hex_byte(digits: [u8; 2]) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(digits, &mut byte).ok()?;
    Some(byte[0])
}

#[cfg(test)]
mod tests;
