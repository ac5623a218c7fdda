//! The simulator repeats itself exactly, and notices every host that breaks a promise.

use std::thread;
use std::time::Duration;

use sim::{Campaign, Mutant, Template, live};

/// Worlds within which a broken host has to be noticed; most need a handful.
const SEEDS_MAX: u64 = 400;

fn template() -> Template {
    Template::new().expect("the worlds are set up")
}

#[test]
fn a_seed_decides_everything() {
    let (template, other) = (template(), template());
    for seed in 0..25 {
        let (one, two) = (live(seed, &template, None, false), live(seed, &other, None, false));
        assert_eq!((one.hash, &one.counts), (two.hash, &two.counts), "seed {seed} did something else");
    }
    assert_ne!(live(1, &template, None, false).hash, live(2, &template, None, false).hash);
}

#[test]
fn the_host_keeps_its_promises_in_a_few_worlds() {
    let campaign = Campaign {
        from: 1,
        stride: 1,
        runs_max: 1_000,
        within: Duration::from_secs(120),
        stops_at_first: true,
        mutant: None,
    };
    let tally = campaign.run(&template());
    assert_eq!(tally.broken, [], "replay it: cargo xtask torture engine --seed SEED");
    for wanted in [
        "kills",
        "power losses",
        "clean stops",
        "replies lost",
        "duplicates recognised",
        "runs that succeeded",
        "runs that were cancelled",
        "runs replayed",
        "flows paused",
        "versions published",
        "secrets rotated",
        "items polled",
        "times that started a flow",
        "approvals given",
        "waits ended by the clock",
        "step with an error branch",
        "step foreach",
        "step call",
    ] {
        assert!(tally.counts.contains_key(wanted), "{wanted} never came up: {:?}", tally.counts);
    }
}

#[test]
fn every_broken_host_is_noticed() {
    let template = template();
    let notice = |mutant: Mutant| {
        let caught = (0..SEEDS_MAX).find(|seed| !live(*seed, &template, Some(mutant), false).broken.is_empty());
        assert!(caught.is_some(), "{mutant:?} goes unnoticed in {SEEDS_MAX} worlds");
        println!("{mutant:?} is noticed by seed {caught:?}");
    };
    let (some, others) = Mutant::ALL.split_at(Mutant::ALL.len() / 2);
    thread::scope(|scope| {
        for some in [some, others] {
            scope.spawn(|| some.iter().copied().for_each(&notice));
        }
    });
}
