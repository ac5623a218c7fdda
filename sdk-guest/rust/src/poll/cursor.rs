//! What a poll keeps between two calls, small enough for the host: ids as hashes.
//!
//! Invariant: what this version writes, every later one reads; `v` tells.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::reading;

/// FNV-1a, 64 bits: the same in every build, unlike the standard library's. Two of
/// 10,000 ids collide once in 300 billion polls.
pub(super) fn hash(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A cursor as text.
pub(super) fn write(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|error| Error::permanent(format!("the cursor is no JSON: {error}")))
}

/// A cursor from text.
pub(super) fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    reading::parse(text.as_bytes()).map_err(|error| {
        Error::permanent(format!("the cursor was written by another version of this connector: {error}"))
    })
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bytes as text (RFC 4648, 5, without padding).
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// The way back; None for what `encode` has not written.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in chunk {
            bits = bits << 6 | u32::try_from(DIGITS.iter().position(|known| known == digit)?).ok()?;
        }
        bits <<= 6 * (4 - chunk.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for length in 0..70_usize {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 89 + 7) as u8).collect();
            assert_eq!(decode(&encode(&bytes)).as_ref(), Some(&bytes), "{length}");
        }
        assert_eq!(encode(b"\xff\xfe"), "__4");
        assert_eq!(decode("__4="), None);
    }

    #[test]
    fn hashes_never_change() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
