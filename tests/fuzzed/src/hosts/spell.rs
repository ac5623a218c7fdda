//! Rules, requests and addresses, in every spelling that URLs have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::choices::Choices;

const LABELS: [&str; 14] =
    ["a", "b", "evil", "example", "com", "xn--bcher-kva", "localhost", "internal", "127", "0", "1", "*", "_x", "a-b"];
const PATHS: [&str; 14] = [
    "",
    "/",
    "/v1",
    "/v1/x",
    "/v1/../x",
    "/v1/%2e%2e/x",
    "/v1/%2fx",
    "/v1//x",
    "/v1/;x",
    "/v1/x?q=1#f",
    "/%61",
    "/v1/ x",
    "/ü",
    "/**",
];

/// A text that may be a rule: `GET https://*.a.example/v1/**`.
pub(crate) fn rule(choices: &mut Choices<'_>) -> String {
    let methods = choices.pick(&["*", "GET", "GET,POST", "get", "GET,"]);
    let scheme = choices.pick(&["https", "http", "https", "ftp"]);
    let host = match choices.below(8) {
        0 => "*".to_owned(),
        1 | 2 => format!("*.{}", name(choices)),
        3 => address(choices).1,
        4 => format!("{}/{}", Ipv4Addr::from_bits(choices.number() as u32 & 0xffff_0000), choices.below(34)),
        _ => name(choices),
    };
    let port = choices.pick(&["", "", "", ":8443", ":443", ":*", ":0", ":"]);
    let path = choices.pick(&["", "", "/**", "/v1/**", "/v1/*", "/v1/x", "/*/x", "/v1/../x"]);
    format!("{methods} {scheme}://{host}{port}{path}")
}

/// A method and a text that may be a URL, often to one of the places that rules name.
pub(crate) fn request(choices: &mut Choices<'_>) -> (String, String) {
    let scheme = choices.pick(&["https", "http", "https", "HTTPS", "ftp", "ws"]);
    let separator = choices.pick(&["://", "://", "://", "://", ":/", ":", ":\\\\", ":///"]);
    let user = choices.pick(&["", "", "", "", "", "u@", "u:p@", "a.example@", "a.example:443@", "@"]);
    let host = if choices.one_in(4) { address(choices).1 } else { disguised(name(choices), choices) };
    let port = choices.pick(&["", "", "", ":8443", ":443", ":80", ":0443", ":0", ":99999", ":"]);
    let path = choices.pick(&PATHS);
    let end = choices.pick(&["", "", "", "", "\n", "\t", " ", "\\", "\0"]);
    let method = choices.pick(&["GET", "GET", "POST", "HEAD", "CONNECT", "get"]);
    ((*method).to_owned(), format!("{scheme}{separator}{user}{host}{port}{path}{end}"))
}

/// One to four labels.
fn name(choices: &mut Choices<'_>) -> String {
    let labels: Vec<&str> = (0..=choices.below(3)).map(|_| *choices.pick(&LABELS)).collect();
    labels.join(".")
}

/// The same name as browsers would still read it, or one that only looks like it.
fn disguised(name: String, choices: &mut Choices<'_>) -> String {
    match choices.below(12) {
        0 => name.to_ascii_uppercase(),
        1 => format!("{name}."),
        2 => format!("{name}.."),
        3 => format!(".{name}"),
        4 => name.replace('a', "%61"),
        5 => name.replace('.', "\u{3002}"),
        6 => name.replace('a', "\u{ff41}"),
        7 => format!("x{name}"),
        8 => name.replace("xn--bcher-kva", "b\u{fc}cher"),
        9 => name.replace('.', ".\u{ad}"),
        10 => name.replace('.', "\t."),
        _ => name,
    }
}

/// An address, and one of the ways to write it in a URL.
pub(crate) fn address(choices: &mut Choices<'_>) -> (IpAddr, String) {
    if choices.one_in(3) {
        let address = v6(choices);
        return (address.into(), spelled_v6(address, choices));
    }
    let known = [0x7f00_0001_u32, 0, 0xa9fe_a9fe, 0x0a00_0001, 0xc0a8_0101, 0x6440_0001, 0xffff_ffff, 0x0808_0808];
    let address = match choices.one_in(2) {
        true => Ipv4Addr::from_bits(*choices.pick(&known)),
        false => Ipv4Addr::from_bits(choices.number() as u32),
    };
    (address.into(), spelled_v4(address, choices))
}

/// Dotted, with fewer parts, each decimal, octal or hexadecimal; and with what browsers
/// take for dots and digits.
fn spelled_v4(address: Ipv4Addr, choices: &mut Choices<'_>) -> String {
    let bits = address.to_bits();
    let parts = 1 + choices.below(4);
    let mut numbers: Vec<u32> = (0..parts - 1).map(|at| bits >> (24 - 8 * at) & 0xff).collect();
    let left = 8 * (5 - parts);
    numbers.push(if left == 32 { bits } else { bits & ((1 << left) - 1) });
    let texts: Vec<String> = numbers
        .into_iter()
        .map(|number| match choices.below(5) {
            0 => format!("0x{number:x}"),
            1 => format!("0X{number:X}"),
            2 => format!("0{number:o}"),
            3 => format!("0x000000{number:x}"),
            _ => number.to_string(),
        })
        .collect();
    let dot = choices.pick(&[".", ".", ".", "\u{3002}", "%2e", "\u{ff0e}"]);
    let end = choices.pick(&["", "", "", "."]);
    let text = texts.join(dot) + end;
    match choices.below(4) {
        0 if !text.contains('%') => text.chars().map(|c| if c.is_ascii_digit() { wide(c) } else { c }).collect(),
        1 => text.replace('1', "%31"),
        _ => text,
    }
}

/// `１` for `1`.
fn wide(digit: char) -> char {
    char::from_u32(u32::from(digit) - u32::from('0') + 0xff10).unwrap_or(digit)
}

fn v6(choices: &mut Choices<'_>) -> Ipv6Addr {
    let inner = Ipv4Addr::from_bits(choices.number() as u32);
    let [a, b, c, d] = inner.octets().map(u16::from);
    match choices.below(8) {
        0 => Ipv6Addr::LOCALHOST,
        1 => inner.to_ipv6_mapped(),
        2 => inner.to_ipv6_compatible(),
        3 => Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d),
        4 => Ipv6Addr::new(0x2002, a << 8 | b, c << 8 | d, 0, 0, 0, 0, 1),
        5 => Ipv6Addr::new(0xfe80, 0, 0, 0, a, b, c, d),
        6 => Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        _ => Ipv6Addr::from_bits(u128::from(choices.number()) << 64 | u128::from(choices.number())),
    }
}

fn spelled_v6(address: Ipv6Addr, choices: &mut Choices<'_>) -> String {
    let segments = address.segments();
    let whole: Vec<String> = segments.iter().map(|segment| format!("{segment:04x}")).collect();
    match choices.below(5) {
        0 => format!("[{}]", whole.join(":")),
        1 => format!("[{}]", whole.join(":").to_ascii_uppercase()),
        2 => {
            let [.., six, seven] = segments;
            let last = Ipv4Addr::from_bits(u32::from(six) << 16 | u32::from(seven));
            format!("[{}:{last}]", whole[..6].join(":"))
        }
        3 => format!("[{}]", segments.map(|segment| format!("{segment:x}")).join(":")),
        _ => format!("[{address}]"),
    }
}
