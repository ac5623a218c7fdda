//! The ways in which one address can be written as the host of a URL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every spelling of the address that leads to this very address.
pub(crate) fn same(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets().map(u32::from);
    let whole = address.to_bits();
    let (low3, low2) = (whole & 0xff_ffff, whole & 0xffff);
    let plain = address.to_string();
    vec![
        format!("{a}.{b}.{low2}"),
        format!("{a}.{low3}"),
        format!("{whole}"),
        format!("0x{whole:x}"),
        format!("0X{whole:08X}"),
        format!("0x00000000{whole:08x}"),
        format!("{whole:#o}").replace("0o", "0"),
        format!("0000{}", format!("{whole:#o}").replace("0o", "0")),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0x{a:02X}.0X{b:02x}.0x{low2:x}"),
        format!("0x{a:x}.{low3}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.000{b:o}.000{c:o}.000{d:o}"),
        format!("0x{a:x}.0{b:o}.{c}.0x{d:x}"),
        format!("{a}.0x{b:x}.0{low2:o}"),
        format!("0{a:o}.0x{low3:x}"),
        format!("{plain}."),
        plain.chars().map(wide).collect(),
        plain.replace('.', "\u{3002}"),
        plain.replace('.', "\u{ff61}"),
        plain.replace('.', "%2e"),
        plain.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        plain.chars().map(circled).collect(),
        format!("0x{whole:x}").chars().map(wide).collect(),
        plain,
    ]
}

/// Full width, as East Asian keyboards write it.
fn wide(letter: char) -> char {
    char::from_u32(u32::from(letter) + 0xfee0).filter(|_| letter.is_ascii_graphic()).unwrap_or(letter)
}

/// Digits in circles.
fn circled(letter: char) -> char {
    match letter {
        '0' => '\u{24ea}',
        '1'..='9' => char::from_u32(0x2460 + u32::from(letter) - u32::from('1')).unwrap_or(letter),
        other => other,
    }
}

fn v6(address: Ipv6Addr) -> Vec<String> {
    let segments = address.segments();
    let full: Vec<String> = segments.iter().map(|part| format!("{part:04x}")).collect();
    let short: Vec<String> = segments.iter().map(|part| format!("{part:X}")).collect();
    let tail = Ipv4Addr::from_bits(u32::from(segments[6]) << 16 | u32::from(segments[7]));
    vec![
        format!("[{address}]"),
        format!("[{}]", full.join(":")),
        format!("[{}]", short.join(":")),
        format!("[{}:{tail}]", short[..6].join(":")),
    ]
}

/// Addresses of IPv6 in which this one hides. None of them is ever dialled.
pub(crate) fn hiding(address: Ipv4Addr) -> Vec<Ipv6Addr> {
    let [a, b, c, d] = address.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    vec![
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        // RFC 6052, 2.2: in the middle of a longer prefix.
        Ipv6Addr::new(0x64, 0xff9b, 1, high, c, d << 8, 0, 0),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        // RFC 4380, 4: the client's address is written inverted.
        Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !high, !low),
        // As a server of Teredo, and in the identifier that ISATAP makes.
        Ipv6Addr::new(0x2001, 0, high, low, 0, 0, 0, 1),
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0x5efe, high, low),
    ]
}
