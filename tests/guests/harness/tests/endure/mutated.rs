//! Real connectors that chance has damaged: bits turned, bytes lost, sections moved.

use std::ops::Range;

use testkit::{Seeded, Torture};
use wasmparser::Parser;

use crate::{attempt_each, built};

/// Most are refused in a millisecond; those that are not are compiled.
const SEEDS: u64 = 150;
/// Bits that are turned in one component, at most.
const TURNED_MAX: usize = 8;

/// The connectors, from a few KiB to some hundred.
const CONNECTORS: [(&str, &str); 5] =
    [("guests", "echo"), ("guests", "lying-answers"), ("plugins", "http"), ("plugins", "files"), ("plugins", "slack")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tortured_mutated_connectors() {
    let originals: Vec<Vec<u8>> = CONNECTORS.iter().map(|(folder, name)| built(folder, name)).collect();
    let mut torture = Torture::new("mutated-connectors", SEEDS);
    attempt_each(&mut torture, |seed| Some((mutate(seed, &originals), true))).await;
    let refused = torture.counted("component-malformed");
    assert!(torture.is_long() || (refused > 0 && torture.counted("loaded") > 0), "{torture:?}: no variety");
    torture.finish();
}

fn mutate(seed: u64, originals: &[Vec<u8>]) -> Vec<u8> {
    let mut chance = Seeded::new(seed);
    let mut wasm = chance.pick(originals).clone();
    match chance.below(6) {
        0 | 1 => turn_bits(&mut wasm, &mut chance),
        2 => {
            let range = range(wasm.len(), &mut chance);
            wasm.drain(range);
        }
        3 => {
            let piece = wasm[range(wasm.len(), &mut chance)].to_vec();
            let at = chance.below(wasm.len());
            wasm.splice(at..at, piece);
        }
        4 => wasm.truncate(chance.below(wasm.len())),
        _ => wasm = shuffle(&wasm, &mut chance),
    }
    wasm
}

fn turn_bits(wasm: &mut [u8], chance: &mut Seeded) {
    for _ in 0..=chance.below(TURNED_MAX) {
        let at = chance.below(wasm.len());
        wasm[at] ^= 1 << chance.below(8);
    }
}

/// A short piece of it.
fn range(len: usize, chance: &mut Seeded) -> Range<usize> {
    let start = chance.below(len);
    start..(start + 1 + chance.below(64)).min(len)
}

/// The outermost sections, one of them lost, doubled or moved.
fn shuffle(wasm: &[u8], chance: &mut Seeded) -> Vec<u8> {
    let (mut sections, mut depth, mut from) = (Vec::new(), 0_u32, 8);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("the original is whole");
        match payload {
            wasmparser::Payload::ModuleSection { .. } | wasmparser::Payload::ComponentSection { .. } => depth += 1,
            wasmparser::Payload::End(end) => {
                depth = depth.saturating_sub(1);
                if depth == 0 && end > from {
                    sections.push(&wasm[from..end]);
                    from = end;
                }
            }
            other if depth == 0 => {
                if let Some((_, range)) = other.as_section() {
                    sections.push(&wasm[from..range.end]);
                    from = range.end;
                }
            }
            _ => {}
        }
    }
    let (one, other) = (chance.below(sections.len()), chance.below(sections.len()));
    match chance.below(3) {
        0 => {
            let _lost = sections.remove(one);
        }
        1 => sections.insert(other, sections[one]),
        _ => sections.swap(one, other),
    }
    [&wasm[..8], &sections.concat()].concat()
}
