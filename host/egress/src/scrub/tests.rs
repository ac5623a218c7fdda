//! A secret in every form that a service may echo, and texts that only resemble it.

use super::*;

const SECRET: &str = "s3cret/To+ken=\"x%y\\z";

fn bearer(secret: &str) -> Scrubber {
    Scrubber::new(&Credential::Bearer { token: secret.into() }, None)
}

fn check(scrubber: &Scrubber, text: &str, wanted: &str) {
    assert_eq!(scrubber.text(text), wanted, "{text}");
    assert_eq!(scrubber.meets(text), text != wanted, "{text}");
}

fn percent(secret: &str, all: bool, upper: bool) -> String {
    let encode = |byte: u8| match byte {
        _ if byte.is_ascii_alphanumeric() && !all => char::from(byte).to_string(),
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    secret.bytes().map(encode).collect()
}

/// `\u00e9` for these characters, as writers of plain ASCII have them.
fn unicode(secret: &str, escapes: impl Fn(char) -> bool) -> String {
    let mut units = [0; 2];
    let mut escape = |c: char| match escapes(c) {
        true => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        false => c.to_string(),
    };
    secret.chars().map(&mut escape).collect()
}

#[test]
fn every_echo_is_cut_out() {
    for secret in [
        SECRET,
        "plain-token-123",
        "12345678",
        "a b c d e f",
        "%25%25%25",
        "\\\\\\\\\\\\\\\\",
        "sécrétsécrét",
        "x\"%2525\"%41",
        "a🔑秘\\u00e9",
    ] {
        let scrubber = bearer(secret);
        let json = serde_json::to_string(secret).expect("text");
        for echo in [
            secret.to_owned(),
            json[1..json.len() - 1].to_owned(),
            json[1..json.len() - 1].replace('/', "\\/"),
            percent(secret, false, true),
            percent(secret, false, false),
            percent(secret, true, true),
            percent(secret, false, true).replace("%20", "+"),
            hex::encode(secret),
            hex::encode_upper(secret),
            unicode(secret, |c| !c.is_ascii() || "\"\\".contains(c)),
            unicode(secret, |_| true).to_uppercase().replace("\\U", "\\u"),
        ] {
            check(&scrubber, &echo, "[redacted]");
            check(&scrubber, &format!("{{\"a\":\"{echo}\"}}"), "{\"a\":\"[redacted]\"}");
            check(&scrubber, &format!("{echo} and {echo}"), "[redacted] and [redacted]");
        }
    }
}

#[test]
fn base64_is_found_at_every_place_in_a_longer_text() {
    for (engine, name) in [(&STANDARD_NO_PAD, "standard"), (&URL_SAFE_NO_PAD, "url")] {
        for secret in [SECRET, "12345678", "~~~???>>>~~~???"] {
            for before in ["", "u", "us", "use", "user:"] {
                for after in ["", "!", "!!", "!!!"] {
                    let text = engine.encode(format!("{before}{secret}{after}"));
                    let scrubbed = bearer(secret).text(&text).into_owned();
                    assert!(scrubbed.contains("[redacted]"), "{name} {before}{secret}{after}: {scrubbed}");
                    // At most the digits that hold bits of its neighbours remain.
                    let kept = scrubbed.len() - "[redacted]".len();
                    let most = (before.len() * 8).div_ceil(6) + (after.len() * 8).div_ceil(6) + 2;
                    assert!(kept <= most, "{name} {before}{secret}{after}: {scrubbed}");
                    let escaped = percent(&text, false, true);
                    assert!(bearer(secret).meets(&escaped), "{escaped}");
                    assert!(bearer(secret).meets(&text.replace('/', "\\/")), "{text}");
                }
            }
        }
    }
}

#[test]
fn the_whole_pair_of_basic_is_cut_out() {
    let scrubber = Scrubber::new(&Credential::Basic { user: "user".into(), password: "long-enough".into() }, None);
    check(&scrubber, "Basic dXNlcjpsb25nLWVub3VnaA==", "Basic [redacted]==");
    check(&scrubber, "user:long-enough", "user:[redacted]");
}

#[test]
fn what_only_resembles_it_stays() {
    let scrubber = bearer(SECRET);
    for text in ["", "s3cret", "s3cret/To+ken=\"x%y\\", "S3CRET/TO+KEN=\"X%Y\\Z", "%", "\\", "\\u00", "%7", "\u{e9}%\\"]
    {
        check(&scrubber, text, text);
    }
    check(&bearer("1234567"), "1234567", "1234567");
    check(&Scrubber::new(&Credential::None, None), "Bearer", "Bearer");
}

#[test]
fn bytes_that_are_no_text_are_searched_too() {
    let scrubber = bearer("12345678");
    assert_eq!(scrubber.bytes(b"\xff12345678\xfe").as_ref(), b"\xff[redacted]\xfe");
    assert!(matches!(scrubber.bytes(b"\xff1234567\xfe"), Cow::Borrowed(_)));
}

#[test]
fn hits_side_by_side_are_cut_once_each() {
    check(&bearer("12345678"), "1234567812345678", "[redacted][redacted]");
    // One that begins within another counts too: it may as well be the true one.
    check(&bearer("abababab"), "ababababab", "[redacted]");
}

#[test]
fn a_lent_secret_is_cut_out_beside_the_credential() {
    let scrubber = Scrubber::new(&Credential::Bearer { token: "the-token".into() }, Some("lent-secret"));
    check(&scrubber, "the-token and lent-secret", "[redacted] and [redacted]");
    check(&Scrubber::new(&Credential::None, Some("short")), "short", "short");
}
