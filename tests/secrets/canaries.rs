//! Secrets made up for the test, of every alphabet that encoders treat differently.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// How a secret is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    Basic,
    Header,
    Query,
    /// Verifies deliveries.
    Webhook,
    /// The host's own, for a webhook that it sets up.
    Lent,
}

/// A secret that must not be found.
#[derive(Debug, Clone)]
pub(crate) struct Canary {
    pub(crate) name: String,
    pub(crate) scheme: Scheme,
    pub(crate) secret: String,
}

/// What headers can carry.
const ASCII: [&str; 9] = [
    "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    "abcdef%&=?#+;,/",
    "xyz\"\\'/`",
    "pqr st uv",
    "<&>\"'abcdefgh",
    "qrst%2525%41",
    "{}[]|^~!$*()@:.wvut",
];
/// What it takes base64, or percent signs, to carry.
const WIDE: [&str; 3] = ["äöüßéñabc", "日本語秘密鍵xyz", "🔑🦀ab\u{301}ç%\"\\"];
/// From the shortest that the vault takes.
const LENGTHS: [usize; 9] = [8, 9, 10, 11, 12, 16, 24, 40, 64];

/// Ten of each scheme, twelve that verify deliveries.
pub(crate) fn all(seed: u64) -> Vec<Canary> {
    let mut random = StdRng::seed_from_u64(seed);
    let schemes = [
        (Scheme::Bearer, "bearer", 10),
        (Scheme::Basic, "basic", 10),
        (Scheme::Header, "header", 10),
        (Scheme::Query, "query", 10),
        (Scheme::Webhook, "webhook", 12),
    ];
    let mut canaries = Vec::new();
    for (scheme, name, count) in schemes {
        let alphabets: Vec<&str> = match scheme {
            Scheme::Bearer | Scheme::Header => ASCII.to_vec(),
            Scheme::Basic | Scheme::Query | Scheme::Webhook | Scheme::Lent => [&WIDE[..], &ASCII[..]].concat(),
        };
        for number in 0..count {
            let (alphabet, length) = (alphabets[number % alphabets.len()], LENGTHS[number % LENGTHS.len()]);
            let secret = made(alphabet, length, &mut random);
            canaries.push(Canary { name: format!("{name}-{number}"), scheme, secret });
        }
    }
    canaries
}

/// A text of this alphabet, without blanks at its ends, that nothing honest has by chance.
fn made(alphabet: &str, bytes_min: usize, random: &mut StdRng) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    loop {
        let mut text = String::new();
        while text.len() < bytes_min {
            text.push(letters[random.random_range(0..letters.len())]);
        }
        let mut kinds: Vec<char> = text.chars().collect();
        kinds.sort_unstable();
        kinds.dedup();
        // A secret of one or two letters would stand in honest text.
        if text.trim() == text && kinds.len() >= 3 {
            return text;
        }
    }
}
