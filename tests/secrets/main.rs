//! Fifty secrets through every way that a host has for them, with services that hand them
//! back in every form; then everything that a person, a connector or a thief of files
//! could see is searched for them.
//!
//! A real host in a process of its own, with its log at `trace`. A marker that is no
//! secret goes the same ways, and the same search looks for it: where it is not found,
//! searching would prove nothing.

mod canaries;
mod forms;
mod search;
mod upstream;
mod world;

use std::collections::BTreeMap;

use search::Search;
use testkit::Torture;
use world::World;

/// Hits that are shown.
const HITS_SHOWN: usize = 40;

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
        search.prove(&canaries);
        let (mut hits, mut kinds) = (Vec::new(), BTreeMap::<&str, (usize, usize)>::new());
        for place in &places {
            torture.count(place.kind);
            torture.add("KiB searched", place.content.len() as u64 >> 10);
            let found = search.look(&place.content);
            let (searched, marked) = kinds.entry(place.kind).or_default();
            *searched += usize::from(!place.content.is_empty());
            *marked += usize::from(found.marker);
            hits.extend(found.hits.into_iter().map(|hit| format!("{}, {}: {hit}", place.kind, place.name)));
        }
        torture.add("secrets", canaries.len() as u64);
        torture.add("forms looked for", search.needles() as u64);
        torture.add("hits", hits.len() as u64);
        println!("seed {seed}: places that were searched, and those of them with the marker: {kinds:?}");
        for kind in world::WITHOUT_MARKER {
            assert!(kinds.get(kind).is_some_and(|(searched, _)| *searched > 0), "nothing was searched of: {kind}");
        }
        for kind in world::WITH_MARKER {
            assert!(kinds.get(kind).is_some_and(|(_, marked)| *marked > 0), "not even the marker is found in: {kind}");
        }
        hits.truncate(HITS_SHOWN);
        assert!(hits.is_empty(), "found:\n{}", hits.join("\n"));
        world.remove().expect("its folder is removed");
    });
    torture.finish();
}
