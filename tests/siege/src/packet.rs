//! DNS messages by hand (RFC 1035, 4), since some of them have to be wrong.

use std::net::IpAddr;

pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const AAAA: u16 = 28;

/// What one query asks.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) id: u16,
    /// Lower case, without the last dot.
    pub(crate) name: String,
    pub(crate) kind: u16,
}

impl Question {
    /// None when it is no query with one question.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let id = number(packet, 0)?;
        let is_query = packet.get(2)? & 0x80 == 0;
        if !is_query || number(packet, 4)? != 1 {
            return None;
        }
        let (mut labels, mut at) = (Vec::new(), 12);
        loop {
            let length = usize::from(*packet.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            let label = packet.get(at..at + length)?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += length;
        }
        Some(Self { id, name: labels.join("."), kind: number(packet, at)? })
    }
}

fn number(packet: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?))
}

/// One record of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) owner: String,
    pub(crate) kind: u16,
    pub(crate) data: Vec<u8>,
}

impl Record {
    pub(crate) fn address(owner: &str, address: IpAddr) -> Self {
        let (kind, data) = match address {
            IpAddr::V4(address) => (A, address.octets().to_vec()),
            IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
        };
        Self { owner: owner.to_owned(), kind, data }
    }

    pub(crate) fn alias(owner: &str, of: &str) -> Self {
        Self { owner: owner.to_owned(), kind: CNAME, data: name(of) }
    }
}

/// A name in its form on the wire, not compressed.
fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// The head of an answer: who asked, the code, whether there is more over TCP.
pub(crate) struct Head<'a> {
    pub(crate) id: u16,
    pub(crate) question: &'a str,
    pub(crate) kind: u16,
    pub(crate) code: u8,
    pub(crate) truncated: bool,
}

/// A whole answer. Records have a time to live of zero: nobody may keep them.
pub(crate) fn answer(head: &Head<'_>, records: &[Record]) -> Vec<u8> {
    let mut packet = head.id.to_be_bytes().to_vec();
    packet.push(0x84 | if head.truncated { 2 } else { 0 });
    packet.push(0x80 | head.code);
    let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
    packet.extend([0, 1]);
    packet.extend(count.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(name(head.question));
    packet.extend(head.kind.to_be_bytes());
    packet.extend([0, 1]);
    for record in records {
        // The question's own name is pointed to: long answers stay below 64 KiB.
        match record.owner == head.question {
            true => packet.extend([0xc0, 12]),
            false => packet.extend(name(&record.owner)),
        }
        packet.extend(record.kind.to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, 0]);
        packet.extend(u16::try_from(record.data.len()).unwrap_or(u16::MAX).to_be_bytes());
        packet.extend(&record.data);
    }
    packet
}
