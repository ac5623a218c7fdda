//! Targets that a seed draws: spellings, tricks and published cases, mutated and mixed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use testkit::Seeded;
use url::Url;

use crate::bombard::{Siege, ports};
use crate::case::{Target, WAYS, Want, Way};
use crate::corpus::{INNER, targets};
use crate::ground::Place;
use crate::ranges::Ranges;
use crate::tally::Tally;
use crate::{spell, tricks};

/// Ports at which something listens; targets that mean others are not drawn.
const PORTS_MAX: usize = 200;

/// What parsers stumble over.
const NASTY: [&str; 40] = [
    "\t", "\n", "\r", "\0", " ", "%", "%00", "%2e", "%2f", "%5c", "%40", "%23", "%3a", "%25", ".", "..", ":", "::",
    "/", "//", "\\", "@", "#", "?", "[", "]", "0x", "0", "\u{ad}", "\u{200b}", "\u{3002}", "\u{ff0e}", "\u{ff0f}",
    "\u{ff10}", "\u{2488}", "\u{fe64}", "xn--", "-", "_", "\u{202e}",
];

/// Attacks with `count` targets of this seed, by every way.
///
/// # Errors
/// When the siege itself cannot be set up.
pub fn random(place: &Place, seed: u64, count: usize) -> Result<Tally> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let drawn = draw(seed, count, 80)?;
        let ports: Vec<u16> = ports(&drawn).into_iter().collect();
        let siege = Arc::new(Siege::begin(place, &ports, Duration::from_secs(5)).await?);
        let drawn = if siege.is_loopback() { draw(seed, count, siege.target_port())? } else { drawn };
        let drawn = Arc::new(drawn);
        let mut tally = siege.run(&drawn, &WAYS).await?;
        siege.book.set_evil(true);
        tally.add(siege.run(&drawn, &[Way::Evil]).await?);
        for target in drawn.iter() {
            tally.targets += 1;
            *tally.kinds.entry(target.kind).or_default() += 1;
        }
        siege.finish(tally).await
    })
}

fn draw(seed: u64, count: usize, port: u16) -> Result<Vec<Target>> {
    let mut chance = Seeded::new(seed);
    let (ranges, known, templates) = (Ranges::read()?, targets(port)?, tricks::templates()?);
    let mut drawn: Vec<Target> = Vec::new();
    let (mut listened, mut urls) = (vec![80, 443], BTreeSet::new());
    while drawn.len() < count {
        let url = match chance.below(3) {
            0 => chance.pick(&known).url.clone(),
            1 => {
                let template = &templates[chance.below(templates.len())];
                tricks::fill(template, &host(&mut chance), port)
            }
            _ => format!("http://{}:{port}/", host(&mut chance)),
        };
        let url = mutate(&mut chance, url);
        let target = Target { url, from: None, address: None, want: Want::AsRead, kind: "drawn" };
        let target = if chance.chance(0.1) { plain(&mut chance, &ranges, port) } else { target };
        let read = [Url::parse(&target.url), Url::parse("http://x/").and_then(|base| base.join(&target.url))];
        let news: Vec<u16> = read
            .into_iter()
            .flatten()
            .filter_map(|url| url.port_or_known_default())
            .filter(|port| !listened.contains(port))
            .collect();
        if !urls.insert(target.url.clone())
            || listened.len() + news.len() > PORTS_MAX
            || news.iter().any(|port| [0, 53].contains(port))
        {
            continue;
        }
        listened.extend(news);
        drawn.push(target);
    }
    Ok(drawn)
}

fn host(chance: &mut Seeded) -> String {
    match chance.below(3) {
        0 => (*chance.pick(&INNER)).to_owned(),
        _ => {
            let address = address(chance);
            let spelled = spell::same(address);
            chance.pick(&spelled).clone()
        }
    }
}

/// Any address, half of them special or close to it.
fn address(chance: &mut Seeded) -> IpAddr {
    let bits = u32::try_from(chance.number() >> 32).unwrap_or_default();
    let near = [0x7f00_0000, 0x0a00_0000, 0xa9fe_a9fe, 0xc0a8_0000, 0xac10_0000, 0x6440_0000];
    let bits = if chance.chance(0.5) { *chance.pick(&near) ^ (bits & 0xf) } else { bits };
    let address = Ipv4Addr::from_bits(bits);
    match chance.below(4) {
        0 => {
            let hiding = spell::hiding(address);
            (*chance.pick(&hiding)).into()
        }
        1 => Ipv6Addr::from_bits(u128::from(chance.number()) << 64 | u128::from(chance.number())).into(),
        _ => address.into(),
    }
}

/// An address whose outcome is known: a spelling of it leads there, or nowhere.
fn plain(chance: &mut Seeded, ranges: &Ranges, port: u16) -> Target {
    let address = address(chance);
    let spelled = spell::same(address);
    let url = format!("http://{}:{port}/", chance.pick(&spelled));
    let read = Url::parse(&url).ok();
    let want = crate::corpus::want(read.as_ref(), ranges);
    Target { url, from: None, address: Some(address), want, kind: "drawn addresses" }
}

/// Up to three changes.
fn mutate(chance: &mut Seeded, url: String) -> String {
    let mut letters: Vec<char> = url.chars().collect();
    for _ in 0..chance.below(4) {
        let at = chance.below(letters.len() + 1);
        match chance.below(5) {
            0 | 1 => {
                let nasty = chance.pick(&NASTY).chars();
                letters.splice(at..at, nasty.collect::<Vec<_>>());
            }
            2 if at < letters.len() => {
                letters.remove(at);
            }
            3 if at < letters.len() => {
                let mut bytes = [0; 4];
                let encoded: String =
                    letters[at].encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02x}")).collect();
                letters.splice(at..=at, encoded.chars().collect::<Vec<_>>());
            }
            _ if at < letters.len() => {
                let other = chance.below(letters.len());
                letters.swap(at, other);
            }
            _ => {}
        }
    }
    letters.into_iter().collect()
}
