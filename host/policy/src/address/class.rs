//! The class of an address: public, or one of the special ranges.
//!
//! Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and
//! its updates), the IANA multicast registries, and the documented metadata addresses
//! of cloud providers. A range that a registry calls globally reachable is special
//! here too where nothing that a connector talks to can live in it (AS112, relays).
//! Of IPv6, only 2000::/3 is public: the rest is not allocated to anyone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A special range: its first address, the bits of its prefix, what it is called.
type Range<A> = (A, u32, &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32, class: &'static str) -> Range<Ipv4Addr> {
    (Ipv4Addr::new(a, b, c, d), bits, class)
}

const fn v6(segments: [u16; 4], rest: [u16; 4], bits: u32, class: &'static str) -> Range<Ipv6Addr> {
    let [a, b, c, d] = segments;
    let [e, f, g, h] = rest;
    (Ipv6Addr::new(a, b, c, d, e, f, g, h), bits, class)
}

/// Single metadata addresses stand before the ranges that hold them.
const V4: [Range<Ipv4Addr>; 22] = [
    v4(169, 254, 169, 254, 32, METADATA),
    v4(169, 254, 170, 2, 32, METADATA),
    v4(169, 254, 170, 23, 32, METADATA),
    v4(100, 100, 100, 200, 32, METADATA),
    v4(192, 0, 0, 192, 32, METADATA),
    v4(168, 63, 129, 16, 32, METADATA),
    v4(0, 0, 0, 0, 32, "unspecified"),
    v4(0, 0, 0, 0, 8, "this network"),
    v4(10, 0, 0, 0, 8, "private"),
    v4(100, 64, 0, 0, 10, "shared (carrier-grade NAT)"),
    v4(127, 0, 0, 0, 8, "loopback"),
    v4(169, 254, 0, 0, 16, "link-local"),
    v4(172, 16, 0, 0, 12, "private"),
    v4(192, 0, 0, 0, 24, "protocol assignments"),
    v4(192, 0, 2, 0, 24, "documentation"),
    v4(192, 31, 196, 0, 24, "AS112"),
    v4(192, 52, 193, 0, 24, "AMT relay"),
    v4(192, 88, 99, 0, 24, "6to4 relay"),
    v4(192, 168, 0, 0, 16, "private"),
    v4(192, 175, 48, 0, 24, "AS112"),
    v4(198, 18, 0, 0, 15, "benchmarking"),
    v4(198, 51, 100, 0, 24, "documentation"),
];

/// Apart from the others for the sake of their order.
const V4_HIGH: [Range<Ipv4Addr>; 4] = [
    v4(203, 0, 113, 0, 24, "documentation"),
    v4(224, 0, 0, 0, 4, "multicast"),
    v4(255, 255, 255, 255, 32, "broadcast"),
    v4(240, 0, 0, 0, 4, "reserved"),
];

const V6: [Range<Ipv6Addr>; 23] = [
    v6([0; 4], [0; 4], 128, "unspecified"),
    v6([0; 4], [0, 0, 0, 1], 128, "loopback"),
    v6([0xfd00, 0xec2, 0, 0], [0, 0, 0, 0x254], 128, METADATA),
    v6([0xfd20, 0xce, 0, 0], [0, 0, 0, 0x254], 128, METADATA),
    v6([0; 4], [0, 0xffff, 0, 0], 96, MAPPED),
    v6([0; 4], [0xffff, 0, 0, 0], 96, "IPv4-translated"),
    v6([0; 4], [0; 4], 96, COMPATIBLE),
    v6([0x64, 0xff9b, 0, 0], [0; 4], 96, NAT64),
    v6([0x64, 0xff9b, 1, 0], [0; 4], 48, NAT64),
    v6([0x100, 0, 0, 0], [0; 4], 64, "discard-only"),
    v6([0x100, 0, 0, 1], [0; 4], 64, "dummy prefix"),
    v6([0x2001, 0, 0, 0], [0; 4], 32, TEREDO),
    v6([0x2001, 0x10, 0, 0], [0; 4], 28, "ORCHID"),
    v6([0x2001, 0x20, 0, 0], [0; 4], 28, "ORCHIDv2"),
    v6([0x2001, 0, 0, 0], [0; 4], 23, "protocol assignments"),
    v6([0x2001, 0xdb8, 0, 0], [0; 4], 32, "documentation"),
    v6([0x2002, 0, 0, 0], [0; 4], 16, SIX_TO_FOUR),
    v6([0x2620, 0x4f, 0x8000, 0], [0; 4], 48, "AS112"),
    v6([0x3fff, 0, 0, 0], [0; 4], 20, "documentation"),
    v6([0x5f00, 0, 0, 0], [0; 4], 16, "segment routing"),
    v6([0xfc00, 0, 0, 0], [0; 4], 7, "unique-local"),
    v6([0xfe80, 0, 0, 0], [0; 4], 10, "link-local"),
    v6([0xfec0, 0, 0, 0], [0; 4], 10, "site-local"),
];

const METADATA: &str = "cloud metadata";
const MAPPED: &str = "IPv4-mapped";
const COMPATIBLE: &str = "IPv4-compatible";
const NAT64: &str = "NAT64";
const TEREDO: &str = "Teredo";
const SIX_TO_FOUR: &str = "6to4";

/// What a special address is called; None for a public one.
pub(crate) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    }
}

/// Whether documents cannot name it: it hides another address, or is none to dial.
pub(crate) fn is_unnameable(address: IpAddr) -> bool {
    let class = special(address).unwrap_or_default();
    let hides = [MAPPED, COMPATIBLE, NAT64, TEREDO, SIX_TO_FOUR, "IPv4-translated"].contains(&class);
    hides || ["unspecified", "multicast", "broadcast"].contains(&class)
}

fn of_v4(address: Ipv4Addr) -> Option<&'static str> {
    let inside = |range: &&Range<Ipv4Addr>| (address.to_bits() ^ range.0.to_bits()).leading_zeros() >= range.1;
    V4.iter().chain(&V4_HIGH).find(inside).map(|range| range.2)
}

fn of_v6(address: Ipv6Addr) -> Option<&'static str> {
    let inside = |range: &&Range<Ipv6Addr>| (address.to_bits() ^ range.0.to_bits()).leading_zeros() >= range.1;
    let named = V6.iter().find(inside).map(|range| range.2);
    named.or_else(|| match address.segments()[0] {
        0xff00..=0xffff => Some("multicast"),
        0x2000..=0x3fff => None,
        _ => Some("not allocated"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, wanted: Option<&str>) {
        let parsed: IpAddr = address.parse().expect(address);
        assert_eq!(special(parsed), wanted, "{address}");
    }

    #[test]
    fn every_special_range_has_its_name_at_both_ends() {
        for (first, last, class) in [
            ("0.0.0.1", "0.255.255.255", "this network"),
            ("10.0.0.0", "10.255.255.255", "private"),
            ("100.64.0.0", "100.127.255.255", "shared (carrier-grade NAT)"),
            ("127.0.0.0", "127.255.255.255", "loopback"),
            ("169.254.0.0", "169.254.255.255", "link-local"),
            ("169.254.169.254", "169.254.170.2", "cloud metadata"),
            ("100.100.100.200", "168.63.129.16", "cloud metadata"),
            ("172.16.0.0", "172.31.255.255", "private"),
            ("192.0.0.0", "192.0.0.255", "protocol assignments"),
            ("192.0.2.0", "192.0.2.255", "documentation"),
            ("192.31.196.0", "192.175.48.255", "AS112"),
            ("192.52.193.0", "192.52.193.255", "AMT relay"),
            ("192.88.99.0", "192.88.99.255", "6to4 relay"),
            ("192.168.0.0", "192.168.255.255", "private"),
            ("198.18.0.0", "198.19.255.255", "benchmarking"),
            ("198.51.100.0", "198.51.100.255", "documentation"),
            ("203.0.113.0", "203.0.113.255", "documentation"),
            ("224.0.0.0", "239.255.255.255", "multicast"),
            ("240.0.0.0", "255.255.255.254", "reserved"),
            ("255.255.255.255", "255.255.255.255", "broadcast"),
            ("0.0.0.0", "::", "unspecified"),
            ("::1", "::1", "loopback"),
            ("::2", "::ffff:ffff", "IPv4-compatible"),
            ("::127.0.0.1", "::8.8.8.8", "IPv4-compatible"),
            ("::ffff:0.0.0.0", "::ffff:255.255.255.255", "IPv4-mapped"),
            ("::ffff:0:0.0.0.0", "::ffff:0:127.0.0.1", "IPv4-translated"),
            ("64:ff9b::", "64:ff9b::ffff:ffff", "NAT64"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "NAT64"),
            ("100::", "100::ffff:ffff:ffff:ffff", "discard-only"),
            ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "dummy prefix"),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "Teredo"),
            ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "ORCHID"),
            ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "ORCHIDv2"),
            ("2001:1::1", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol assignments"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4"),
            ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "AS112"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "segment routing"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique-local"),
            ("fd00:ec2::254", "fd20:ce::254", "cloud metadata"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"),
            ("64:ff9c::", "1fff::", "not allocated"),
            ("4000::", "fbff::", "not allocated"),
        ] {
            check(first, Some(class));
            check(last, Some(class));
        }
    }

    #[test]
    fn the_neighbours_of_special_ranges_are_public() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "168.63.129.15",
            "8.8.8.8",
            "2001:200::",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700:4700::1111",
            "2620:4f:8001::1",
            "3fff:1000::1",
        ] {
            check(address, None);
        }
    }
}
