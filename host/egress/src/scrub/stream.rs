//! The same for a value that comes in pieces: no border between them hides a secret.
//!
//! The end is held back, as long as the longest spelling of a secret, whatever stands in
//! it: whoever saw how much comes at once would otherwise see whether what it made a
//! server say begins like the secret, and could guess that piece by piece. Nor does
//! waiting set it free, for the rest of a secret may be late. What comes out is what
//! [`Scrubber::bytes`] makes of the whole value.

use bytes::Bytes;

use super::{Needle, REDACTED, Scrubber};

/// The longest spelling of one byte: `\u00XX`.
const ESCAPED_BYTES_MAX: usize = 6;

/// What is held back of one value.
#[derive(Default)]
pub(crate) struct StreamScrubber {
    held: Vec<u8>,
    /// So many bytes of `held` belong to a secret that began before it.
    covered: usize,
}

impl StreamScrubber {
    /// The next piece without the secret, as far as that can be said.
    pub(crate) fn push(&mut self, scrubber: &Scrubber, piece: Bytes) -> Bytes {
        let window = scrubber.window();
        if window == 0 {
            return piece;
        }
        let bytes = self.held.len() + piece.len();
        // Looked for only when twice as much is there, so that every byte is looked at
        // twice at most, however small the pieces are.
        if bytes < 2 * window {
            self.held.extend_from_slice(&piece);
            return Bytes::new();
        }
        let whole = self.whole(piece);
        self.pass(&whole, scrubber.hits(&whole), bytes - window)
    }

    /// What is held back, and the piece after it.
    fn whole(&mut self, piece: Bytes) -> Bytes {
        if self.held.is_empty() {
            return piece;
        }
        let mut whole = std::mem::take(&mut self.held);
        whole.extend_from_slice(&piece);
        whole.into()
    }

    /// What was held back, when nothing more comes.
    pub(crate) fn finish(&mut self, scrubber: &Scrubber) -> Bytes {
        let rest = self.whole(Bytes::new());
        self.pass(&rest, scrubber.hits(&rest), rest.len())
    }

    /// Everything before `settled`; the rest is held back.
    fn pass(&mut self, bytes: &Bytes, mut hits: Vec<(usize, usize)>, settled: usize) -> Bytes {
        if hits.is_empty() && self.covered == 0 {
            self.held = bytes[settled..].to_vec();
            return bytes.slice(..settled);
        }
        hits.sort_unstable();
        let mut clean = Vec::with_capacity(settled);
        let mut at = self.covered;
        for (start, end) in hits.into_iter().filter(|(start, _)| *start < settled) {
            if start >= at {
                clean.extend_from_slice(&bytes[at..start]);
                clean.extend_from_slice(REDACTED);
            }
            at = at.max(end);
        }
        if at < settled {
            clean.extend_from_slice(&bytes[at..settled]);
            at = settled;
        }
        self.held = bytes[settled..].to_vec();
        self.covered = at - settled;
        clean.into()
    }
}

impl Scrubber {
    /// Whether there is nothing to look for.
    pub(crate) fn is_idle(&self) -> bool {
        self.needles.is_empty()
    }

    /// So many bytes at the end may be the beginning of a secret. 0: nothing is looked for.
    fn window(&self) -> usize {
        self.needles.iter().map(Needle::longest).max().map_or(0, |longest| longest - 1)
    }
}

impl Needle {
    /// The bytes of its longest spelling.
    fn longest(&self) -> usize {
        let escapes = self.escapable || self.spaced;
        self.finder.needle().len() * if escapes { ESCAPED_BYTES_MAX } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use model::Credential;
    use proptest::prelude::*;

    use super::*;

    fn pieces(scrubber: &Scrubber, text: &[u8], mut cuts: impl Iterator<Item = usize>) -> (Vec<u8>, usize) {
        let (mut stream, mut clean, mut rest, mut held_most) = (StreamScrubber::default(), Vec::new(), text, 0);
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(cuts.next().unwrap_or(rest.len()).clamp(1, rest.len()));
            clean.extend_from_slice(&stream.push(scrubber, Bytes::copy_from_slice(piece)));
            held_most = held_most.max(stream.held.len());
            rest = left;
        }
        clean.extend_from_slice(&stream.finish(scrubber));
        (clean, held_most)
    }

    fn bearer(secret: &str) -> Scrubber {
        Scrubber::new(&Credential::Bearer { token: secret.into() }, None)
    }

    fn echoes(secret: &str) -> Vec<String> {
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let unicode: String = secret.bytes().map(|byte| format!("\\u00{byte:02X}")).collect();
        let json = serde_json::to_string(secret).expect("text");
        vec![secret.to_owned(), percent, unicode, json, hex::encode(secret), "nothing % \\u00".to_owned()]
    }

    #[test]
    fn a_secret_is_found_wherever_it_is_cut() {
        for secret in ["s3cret/To+ken=\"x%y\\z", "12345678", "%25%25%25", "\\\\\\\\\\\\\\\\", "a b c d e f"] {
            let scrubber = bearer(secret);
            for echo in echoes(secret) {
                let text = format!("before {echo} between {echo}{echo} after");
                let wanted = scrubber.bytes(text.as_bytes()).into_owned();
                for cut in 1..text.len() {
                    let (found, _) = pieces(&scrubber, text.as_bytes(), [cut].into_iter());
                    assert_eq!(found.escape_ascii().to_string(), wanted.escape_ascii().to_string(), "{text} at {cut}");
                }
                // So long that most of it passes before the end.
                let long = text.repeat(6);
                let wanted = scrubber.bytes(long.as_bytes()).into_owned();
                for piece in 1..40 {
                    let (found, _) = pieces(&scrubber, long.as_bytes(), std::iter::repeat(piece));
                    assert_eq!(found.escape_ascii().to_string(), wanted.escape_ascii().to_string(), "{text} {piece}");
                }
            }
        }
    }

    /// How long the pieces are tells nothing of what a server was made to say.
    #[test]
    fn pieces_are_as_long_whatever_is_in_them() {
        let secret = "s3cret-token/1+2";
        let scrubber = bearer(secret);
        let lengths = |text: &str, piece: usize| {
            let mut stream = StreamScrubber::default();
            let pushed = text.as_bytes().chunks(piece).map(|part| stream.push(&scrubber, Bytes::copy_from_slice(part)));
            let mut lengths: Vec<usize> = pushed.map(|piece| piece.len()).collect();
            lengths.push(stream.finish(&scrubber).len());
            lengths
        };
        let noise = "x".repeat(1_000);
        for echo in echoes(secret) {
            for known in 1..echo.len().min(secret.len()) {
                let (guess, miss) = (&echo[..known], "x".repeat(known));
                for piece in [1, 7, 300, 5_000] {
                    for (guessed, missed) in [
                        (format!("{noise}{guess}"), format!("{noise}{miss}")),
                        (format!("{noise}{guess}{noise}"), format!("{noise}{miss}{noise}")),
                    ] {
                        assert_eq!(lengths(&guessed, piece), lengths(&missed, piece), "{guess} in pieces of {piece}");
                    }
                }
            }
        }
        assert_eq!(lengths(&noise, 5_000), [1_000 - scrubber.window(), scrubber.window()]);
    }

    #[test]
    fn without_a_secret_pieces_pass_untouched() {
        let piece = Bytes::from_static(b"anything");
        let passed = StreamScrubber::default().push(&Scrubber::new(&Credential::None, None), piece.clone());
        assert_eq!(passed.as_ptr(), piece.as_ptr());
    }

    proptest! {
        #[test]
        fn pieces_or_whole_makes_no_difference(
            secret in "[ab%\\\\/+ ]{4}[0-9]{4}[ab%\\\\/+]{1,4}",
            parts in proptest::collection::vec((0..8_usize, "[ab0-9%\\\\u/+ ]{0,6}"), 1..20),
            cuts in proptest::collection::vec(1..9_usize, 1..40),
        ) {
            let scrubber = bearer(&secret);
            let echoes = echoes(&secret);
            let text: String = parts.iter().map(|(echo, noise)| format!("{noise}{}", echoes.get(*echo).map_or("", String::as_str))).collect();
            let wanted = scrubber.bytes(text.as_bytes()).into_owned();
            let (found, held_most) = pieces(&scrubber, text.as_bytes(), cuts.into_iter().cycle());
            prop_assert_eq!(found.escape_ascii().to_string(), wanted.escape_ascii().to_string());
            prop_assert!(held_most < 2 * scrubber.window());
        }
    }
}
