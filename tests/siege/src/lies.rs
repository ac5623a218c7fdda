//! A name server that lies, is slow, or is broken, against the host's own resolver.
//!
//! Nothing stands between: the questions come from the system's resolver as the host
//! under test uses it, over UDP and TCP, and the answers are made byte by byte.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result};
use egress::{Request, SendError};
use serde_json::Value;

use crate::bombard::Siege;
use crate::ground::Place;
use crate::guarded::PROBE;
use crate::nameserver::{Reply, addresses};
use crate::packet::{A, Record};
use crate::tally::Tally;

/// Longer than the system's resolver waits: its own words are to be heard.
const CONNECT: Duration = Duration::from_secs(20);

/// What one lookup may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// An answer from outside.
    Served,
    /// A denial that names the address.
    Denied,
    /// Nothing, and the name is blamed.
    NoAnswer,
    /// Either, and never somebody inside.
    NeverInside,
}

/// One name and what its server says.
struct Scene {
    name: String,
    script: Vec<Reply>,
    /// For each request, one after the other.
    wants: Vec<Want>,
}

/// The lies, and what came of them.
///
/// # Errors
/// When the siege itself cannot be set up.
pub fn names(place: &Place) -> Result<Tally> {
    let scenes = scenes();
    let mut tally = Tally { targets: u64::try_from(scenes.len())?, ..Tally::default() };
    if let Place::Loopback { why } = place {
        let why = format!("the system's resolver asks our server only in a namespace: {why}");
        tally.skip(&why, tally.targets);
        tally.place = format!("loopback: {why}");
        return Ok(tally);
    }
    tokio::runtime::Runtime::new()?.block_on(async {
        let siege = Arc::new(Siege::begin(place, &[80], CONNECT).await?);
        let mut tries = tokio::task::JoinSet::new();
        for scene in scenes {
            siege.book.script(&scene.name, scene.script.clone());
            let siege = Arc::clone(&siege);
            tries.spawn(async move { play(&siege, &scene).await });
        }
        while let Some(part) = tries.join_next().await {
            tally.add(part.context("a scene")??);
        }
        siege.finish(tally).await
    })
}

async fn play(siege: &Siege, scene: &Scene) -> Result<Tally> {
    let mut tally = Tally::default();
    let url = format!("http://{}/", scene.name);
    let session = siege.guarded.session(PROBE, &[format!("* http://{}", scene.name)])?;
    for (turn, want) in scene.wants.iter().enumerate() {
        let request = Request { method: "GET".to_owned(), url: url.clone(), ..Request::default() };
        let outcome = session.send(request).await;
        let address = session.records().pop().and_then(|record| record.address);
        tally.cases += 1;
        let came = match &outcome {
            Ok(response) => {
                let seen: Value = serde_json::from_slice(&response.body).unwrap_or_default();
                let honest = seen["dialled"].as_str() == address.as_deref() && seen["host"] == scene.name.as_str();
                if honest { Some(Want::Served) } else { None }
            }
            Err(SendError::Denied(denial)) => {
                let named = address.as_ref().is_some_and(|address| denial.what.contains(address.as_str()));
                if named { Some(Want::Denied) } else { None }
            }
            Err(SendError::Unreachable(reason)) if reason.contains("cannot reach") => Some(Want::NoAnswer),
            Err(_) => None,
        };
        match came {
            Some(Want::Served) => tally.served += 1,
            _ => tally.refused += 1,
        }
        if came.is_none() || (came != Some(*want) && *want != Want::NeverInside) {
            tally.breach(format!("{} ({turn}): {want:?} was wanted, and {outcome:?} came", scene.name));
        }
    }
    if siege.outside.account.canary_connections.load(Ordering::SeqCst) > 0 {
        tally.breach(format!("a canary had been touched when {} was over", scene.name));
    }
    Ok(tally)
}

const GOOD: &str = "93.184.215.14";
const GOOD_6: &str = "2606:4700:4700::1111";
const BAD: &str = "10.66.6.6";

/// An answer with these addresses.
fn says(name: &str, list: &[&str]) -> Reply {
    Reply { records: addresses(name, list), ..Reply::default() }
}

fn scenes() -> Vec<Scene> {
    let mut scenes = Vec::new();
    let mut add = |name: &str, wants: &[Want], make: &dyn Fn(&str) -> Vec<Reply>| {
        let name = format!("{name}.lies.example");
        scenes.push(Scene { script: make(&name), wants: wants.to_vec(), name });
    };
    plain_answers(&mut add);
    chains(&mut add);
    long_answers(&mut add);
    changes_of_mind(&mut add);
    refusals(&mut add);
    forgeries(&mut add);
    scenes
}

type Add<'a> = dyn FnMut(&str, &[Want], &dyn Fn(&str) -> Vec<Reply>) + 'a;

fn plain_answers(add: &mut Add<'_>) {
    for (label, list, want) in [
        ("a", &[GOOD][..], Want::Served),
        ("aaaa", &[GOOD_6], Want::Served),
        ("both", &[GOOD, GOOD_6], Want::Served),
        ("several", &[GOOD, "8.8.8.8", "9.9.9.9", GOOD_6], Want::Served),
        ("good-bad", &[GOOD, BAD], Want::Denied),
        ("bad-good", &[BAD, GOOD], Want::Denied),
        ("bad-last", &[GOOD, "8.8.8.8", "9.9.9.9", "1.1.1.1", "127.0.0.1"], Want::Denied),
        ("good-a-bad-aaaa", &[GOOD, "fd00::1"], Want::Denied),
        ("bad-a-good-aaaa", &[BAD, GOOD_6], Want::Denied),
        ("good-bad-aaaa", &[GOOD_6, "::1"], Want::Denied),
    ] {
        add(label, &[want], &|name| vec![says(name, list)]);
    }
    for (number, inside) in [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "198.18.0.1",
        "240.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
    ]
    .into_iter()
    .enumerate()
    {
        add(&format!("inside-{number}"), &[Want::Denied], &|name| vec![says(name, &[inside])]);
    }
}

/// Aliases from the name to `end`, over `links` others.
fn chain(name: &str, links: usize, end: &str) -> Vec<Record> {
    let mut names = vec![name.to_owned()];
    names.extend((0..links).map(|link| format!("link-{link}.{name}")));
    let mut records: Vec<Record> = names.windows(2).map(|pair| Record::alias(&pair[0], &pair[1])).collect();
    records.extend(addresses(names.last().map_or(name, String::as_str), &[end]));
    records
}

fn chains(add: &mut Add<'_>) {
    for (label, links, end, want) in [
        ("alias", 1, GOOD, Want::Served),
        ("alias-3", 3, GOOD, Want::Served),
        ("alias-8", 8, GOOD, Want::Served),
        ("alias-inside", 1, BAD, Want::Denied),
        ("alias-3-inside", 3, "127.0.0.1", Want::Denied),
        ("alias-inside-6", 2, "::1", Want::Denied),
        ("alias-60-inside", 60, BAD, Want::NeverInside),
    ] {
        add(label, &[want], &|name| vec![Reply { records: chain(name, links, end), ..Reply::default() }]);
    }
    add("alias-backwards", &[Want::NeverInside], &|name| {
        let records = chain(name, 3, BAD).into_iter().rev().collect();
        vec![Reply { records, ..Reply::default() }]
    });
    add("alias-loop", &[Want::NoAnswer], &|name| {
        let other = format!("other.{name}");
        vec![Reply { records: vec![Record::alias(name, &other), Record::alias(&other, name)], ..Reply::default() }]
    });
    add("alias-to-itself", &[Want::NoAnswer], &|name| {
        vec![Reply { records: vec![Record::alias(name, name)], ..Reply::default() }]
    });
    add("alias-to-nobody", &[Want::NoAnswer], &|name| {
        vec![Reply { records: vec![Record::alias(name, "nobody.example")], ..Reply::default() }]
    });
    add("alias-and-address", &[Want::NeverInside], &|name| {
        let records = [addresses(name, &[BAD]), chain(name, 1, GOOD)].concat();
        vec![Reply { records, ..Reply::default() }]
    });
}

/// So many public addresses.
fn many(name: &str, count: usize) -> Vec<Record> {
    let address = |number: usize| format!("93.{}.{}.{}", 1 + number / 65_536, number / 256 % 256, number % 256);
    (0..count).flat_map(|number| addresses(name, &[&address(number)])).collect()
}

fn long_answers(add: &mut Add<'_>) {
    let over_tcp = |udp: Vec<Record>, tcp| vec![Reply { records: udp, over_tcp: Some(tcp), ..Reply::default() }];
    add("truncated", &[Want::Served], &|name| over_tcp(Vec::new(), addresses(name, &[GOOD])));
    add("truncated-2000", &[Want::Served], &|name| over_tcp(Vec::new(), many(name, 2_000)));
    add("truncated-2000-one-bad", &[Want::Denied], &|name| {
        over_tcp(Vec::new(), [many(name, 2_000), addresses(name, &[BAD])].concat())
    });
    add("truncated-good-then-bad", &[Want::Denied], &|name| {
        over_tcp(addresses(name, &[GOOD]), addresses(name, &[BAD]))
    });
    add("truncated-bad-then-good", &[Want::NeverInside], &|name| {
        over_tcp(addresses(name, &[BAD]), addresses(name, &[GOOD]))
    });
    add("long-datagram", &[Want::NeverInside], &|name| vec![Reply { records: many(name, 1_500), ..Reply::default() }]);
    add("long-datagram-bad", &[Want::NeverInside], &|name| {
        vec![Reply { records: [addresses(name, &[BAD]), many(name, 1_500)].concat(), ..Reply::default() }]
    });
}

/// Nothing is kept: each new connection asks again, and is decided on again.
fn changes_of_mind(add: &mut Add<'_>) {
    let (served, denied) = (Want::Served, Want::Denied);
    add("rebinding", &[served, denied, served], &|name| {
        vec![says(name, &[GOOD]), says(name, &[BAD]), says(name, &[GOOD])]
    });
    add("rebinding-6", &[served, denied], &|name| vec![says(name, &[GOOD_6]), says(name, &["::1"])]);
    add("rebinding-family", &[served, denied], &|name| vec![says(name, &[GOOD]), says(name, &["fd00::1"])]);
    add("rebinding-mixed", &[served, denied], &|name| vec![says(name, &[GOOD]), says(name, &[GOOD, BAD])]);
    add("rebinding-late", &[served, denied], &|name| {
        vec![Reply { late_ms: 100, ..says(name, &[GOOD]) }, Reply { late_ms: 100, ..says(name, &[BAD]) }]
    });
    add("late", &[served], &|name| vec![Reply { late_ms: 300, ..says(name, &[GOOD]) }]);
    add("late-inside", &[denied], &|name| vec![Reply { late_ms: 300, ..says(name, &[BAD]) }]);
}

fn refusals(add: &mut Add<'_>) {
    for (label, code) in [("no-such-name", 3), ("server-failure", 2), ("refused", 5), ("not-implemented", 4)] {
        add(label, &[Want::NoAnswer], &|_| vec![Reply { code, ..Reply::default() }]);
        // A refusal with an answer beside it is a refusal, or the answer is checked.
        add(&format!("{label}-inside"), &[Want::NeverInside], &|name| vec![Reply { code, ..says(name, &[BAD]) }]);
    }
    add("nothing-there", &[Want::NoAnswer], &|_| vec![Reply::default()]);
    add("silent", &[Want::NoAnswer], &|_| vec![Reply { silent: true, ..Reply::default() }]);
    add("truncated-silent", &[Want::NoAnswer], &|_| {
        // The code of an answer over TCP that does not come is that of the one over UDP.
        vec![Reply { over_tcp: Some(Vec::new()), ..Reply::default() }]
    });
}

fn forgeries(add: &mut Add<'_>) {
    for (label, address, want) in [("good", GOOD, Want::NoAnswer), ("bad", BAD, Want::NoAnswer)] {
        let forged = |change: fn(Reply) -> Reply| move |name: &str| vec![change(says(name, &[address]))];
        add(&format!("other-id-{label}"), &[want], &forged(|reply| Reply { other_id: 1, ..reply }));
        add(&format!("other-port-{label}"), &[want], &forged(|reply| Reply { other_port: true, ..reply }));
        add(
            &format!("other-question-{label}"),
            &[want],
            &forged(|reply| Reply { other_question: Some("elsewhere.example".to_owned()), ..reply }),
        );
        add(&format!("for-another-{label}"), &[want], &|_| {
            vec![Reply { records: addresses("elsewhere.example", &[address]), ..Reply::default() }]
        });
    }
    add("with-another", &[Want::NeverInside], &|name| {
        let records = [addresses(name, &[GOOD]), addresses("elsewhere.example", &[BAD])].concat();
        vec![Reply { records, ..Reply::default() }]
    });
    add("unasked", &[Want::NeverInside], &|name| vec![Reply { unasked: true, ..says(name, &[GOOD, "::1"]) }]);
    for (label, length) in [("short", 3), ("none", 0), ("long", 16), ("odd", 5)] {
        add(&format!("address-{label}"), &[Want::NeverInside], &|name| {
            let record = Record { owner: name.to_owned(), kind: A, data: vec![10; length] };
            vec![Reply { records: vec![record], ..Reply::default() }]
        });
    }
    let pointer =
        [&[0x84, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..], &[0xc0, 12, 0, 1, 0, 1], &[0xc0, 18, 0, 1, 0, 1]].concat();
    let no_end = [&[0x84, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..], &[63; 200]].concat();
    let claims = vec![0x84, 0x80, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for (label, raw) in [
        ("empty", Vec::new()),
        ("half-a-head", vec![0x84, 0x80]),
        ("ones", vec![0xff; 512]),
        ("zeros", vec![0; 512]),
        ("pointer-loop", pointer),
        ("endless-name", no_end),
        ("claims-much", claims),
    ] {
        add(&format!("garbage-{label}"), &[Want::NoAnswer], &|_| {
            vec![Reply { raw: Some(raw.clone()), ..Reply::default() }]
        });
    }
}
