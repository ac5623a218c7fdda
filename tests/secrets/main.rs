//! Fifty secrets through every way that a host has for them, with services that hand them
//! back in every form; then everything that a person, a connector or a thief of files
//! could see is searched for them.
//!
//! A real host in a process of its own, with its log at `trace`. A marker that is no
//! secret goes the same ways: where it is not found, searching would prove nothing.

mod canaries;
mod forms;
mod search;
mod upstream;
mod world;

use std::collections::BTreeMap;

use search::Search;
use testkit::Torture;
use world::World;

#[test]
fn tortured_secrets() {
    let mut torture = Torture::new("tortured_secrets", 1);
    torture.each(|torture, seed| {
        let mut world = World::open(seed).expect("a world");
        world.act().expect("everything happens");
        let places = world.collect().expect("everything is looked at");
        let canaries = world.canaries();
        assert!(canaries.len() >= 50, "{} secrets", canaries.len());
        let search = Search::for_all(&canaries);
        let (mut hits, mut marked) = (Vec::new(), BTreeMap::<&str, usize>::new());
        for place in &places {
            torture.count(place.kind);
            torture.add("KiB searched", place.content.len() as u64 >> 10);
            *marked.entry(place.kind).or_default() += usize::from(search.meets_marker(&place.content));
            hits.extend(search.hits(&place.content).into_iter().map(|hit| format!("{}: {hit}", place.name)));
        }
        torture.add("secrets", canaries.len() as u64);
        torture.add("forms looked for", search.needles() as u64);
        torture.add("hits", hits.len() as u64);
        println!("seed {seed}: the marker is in {marked:?}");
        for kind in world::WITH_MARKER {
            assert!(marked.get(kind).is_some_and(|places| *places > 0), "not even the marker is found in: {kind}");
        }
        hits.truncate(40);
        assert!(hits.is_empty(), "found:\n{}", hits.join("\n"));
    });
    torture.finish();
}
