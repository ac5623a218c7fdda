//! Keys made of parts, joined so that byte order is the order of the parts.
//!
//! Each part is written with 0x00 as 0x00 0xFF, and ended by 0x00 0x01. Hence
//! no two lists of parts give the same key; keys compare as their lists of
//! parts do (part by part, bytewise; a shorter list before its extensions);
//! and the key of some leading parts is a prefix of exactly their extensions.
//! Numbers go in as big-endian bytes to sort by value.

/// Joins parts into a key.
#[must_use]
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 2).sum());
    for part in parts {
        push(&mut key, part);
    }
    key
}

/// Appends one part to a key.
pub(crate) fn push(key: &mut Vec<u8>, part: &[u8]) {
    for &byte in part {
        key.push(byte);
        if byte == 0 {
            key.push(0xFF);
        }
    }
    key.extend_from_slice(&[0, 1]);
}

/// The parts of a key, or `None` for bytes that `join` never makes.
#[must_use]
pub fn split(key: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut parts, mut part) = (Vec::new(), Vec::new());
    let mut bytes = key.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, (byte == 0).then(|| bytes.next())) {
            (_, None) => part.push(byte),
            (_, Some(Some(0xFF))) => part.push(0),
            (_, Some(Some(1))) => parts.push(std::mem::take(&mut part)),
            (_, Some(_)) => return None,
        }
    }
    part.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let byte = prop_oneof![Just(0u8), Just(1), Just(0xFF), any::<u8>()];
        proptest::collection::vec(proptest::collection::vec(byte, 0..5), 0..4)
    }

    fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
        join(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn order_and_identity_are_kept(left in parts(), right in parts()) {
            prop_assert_eq!(joined(&left).cmp(&joined(&right)), left.cmp(&right));
            prop_assert_eq!(split(&joined(&left)), Some(left.clone()));
            prop_assert_eq!(joined(&right).starts_with(&joined(&left)), right.starts_with(&left));
        }
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        for bytes in [&b"a"[..], b"a\0", b"a\0\x02", b"\0\xFF"] {
            assert_eq!(split(bytes), None, "{bytes:?}");
        }
    }
}
