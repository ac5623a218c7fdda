//! Services that add, delete and show things late while they are read, in thousands of
//! seeded histories: every thing is found exactly once.

use std::collections::BTreeMap;

use super::*;
use crate::error::Error;

/// A small generator (Knuth's constants): the same histories everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A service whose things have times that often are the same.
struct Service {
    chance: Chance,
    now_ms: u64,
    next_id: u64,
    things: BTreeMap<u64, u64>,
    page_size: usize,
    oldest_first: bool,
    late_ms: u64,
    /// Changes that may still happen between two pages of one poll.
    restless: u64,
}

const START_MS: u64 = 1_767_603_600_000;

impl Service {
    fn new(seed: u64, oldest_first: bool) -> Self {
        let mut chance = Chance(seed);
        let (page_size, late_ms) = (1 + chance.below(7) as usize, chance.below(3) * 1_000);
        let things = BTreeMap::new();
        Self { chance, now_ms: START_MS, next_id: 0, things, page_size, oldest_first, late_ms, restless: 0 }
    }

    /// Some things come, some with times of a little before; some go.
    fn live(&mut self) {
        self.now_ms += self.chance.below(4) * 1_000;
        for _ in 0..self.chance.below(6) {
            let late = if self.late_ms > 0 { self.chance.below(self.late_ms / 1_000 + 1) * 1_000 } else { 0 };
            self.things.insert(self.next_id, self.now_ms - late);
            self.next_id += 1;
        }
        if self.chance.below(3) == 0 {
            self.delete();
        }
    }

    fn delete(&mut self) {
        let at = self.chance.below(self.things.len() as u64 + 1) as usize;
        if let Some(id) = self.things.keys().nth(at).copied() {
            self.things.remove(&id);
        }
    }

    fn list(&mut self, ask: &Ask) -> Result<Listing<u64>> {
        if self.restless > 0 && ask.page.is_some() {
            self.restless -= 1;
            self.delete();
            self.live();
        }
        let since = ask.since_ms.unwrap_or_default();
        let mut things: Vec<(u64, u64)> = self.things.iter().map(|(id, at_ms)| (*at_ms, *id)).collect();
        things.sort_unstable();
        if self.oldest_first {
            things.retain(|(at_ms, _)| *at_ms >= since);
        } else {
            things.reverse();
        }
        let from = (ask.page_number() - 1) * self.page_size;
        let more = things.len() > from + self.page_size;
        let items = things.into_iter().skip(from).take(self.page_size);
        let items = items.map(|(at_ms, id)| Item::new(id, at_ms, id)).collect();
        Ok(Listing { items, next: more.then(|| (ask.page_number() + 1).to_string()) })
    }
}

/// Polls until there is nothing more, as the host does; counts what was found.
fn drain(service: &mut Service, feed: Feed, from: &mut Position, found: &mut BTreeMap<u64, usize>) {
    for _ in 0..2_000 {
        let now_ms = service.now_ms;
        let page = feed.read_at(now_ms, from, |ask| service.list(ask)).expect("read");
        page.items.iter().for_each(|item| *found.entry(item.event).or_default() += 1);
        assert!(page.items.is_sorted_by_key(Item::order_key), "in order");
        *from = Position::After(page.cursor);
        if !page.more {
            return;
        }
    }
    panic!("the poll does not end");
}

fn history(seed: u64, oldest_first: bool, start: &Position) {
    let mut service = Service::new(seed, oldest_first);
    let feed = if oldest_first { Feed::oldest_first() } else { Feed::newest_first() };
    let feed = feed.overlap_s(4).requests_max(1 + service.chance.below(3) as usize);
    let (mut found, mut from) = (BTreeMap::new(), start.clone());
    service.live();
    let (before, mut gone) = (service.next_id, 0);
    drain(&mut service, feed, &mut from, &mut found);
    for _ in 0..service.chance.below(12) {
        let there: Vec<u64> = service.things.keys().copied().collect();
        service.live();
        gone += there.iter().filter(|id| !service.things.contains_key(id)).count();
        service.restless = service.chance.below(4);
        drain(&mut service, feed, &mut from, &mut found);
    }
    service.restless = 0;
    drain(&mut service, feed, &mut from, &mut found);
    for (id, times) in &found {
        assert_eq!(*times, 1, "seed {seed}: {id} was found {times} times");
    }
    let wanted = service.things.keys().filter(|id| *start == Position::Beginning || **id >= before);
    for id in wanted {
        assert!(found.contains_key(id), "seed {seed}: {id} was lost ({gone} others were deleted)");
    }
    let old = found.keys().filter(|id| *start == Position::Now && **id < before).count();
    assert_eq!(old, 0, "seed {seed}: what was there before is not wanted");
}

#[test]
fn every_thing_is_found_exactly_once() {
    for seed in 0..3_000 {
        for oldest_first in [false, true] {
            history(seed, oldest_first, &Position::Beginning);
            history(seed, oldest_first, &Position::Now);
        }
    }
}

#[test]
fn a_quiet_service_costs_one_request_and_keeps_its_cursor() {
    let list = |_: &Ask| Ok(Listing { items: vec![Item::new("a", START_MS, ())], next: None });
    let first = Feed::newest_first().read_at(START_MS, &Position::Now, list).expect("read");
    assert!(first.items.is_empty() && !first.more);
    let mut asked = 0;
    let counting = |ask: &Ask| {
        asked += 1;
        list(ask)
    };
    let second = Feed::newest_first().read_at(START_MS + 9_000, &Position::After(first.cursor.clone()), counting);
    assert_eq!(second.expect("read").cursor, first.cursor, "the host writes nothing when nothing has changed");
    assert_eq!(asked, 1);
}

#[test]
fn a_thing_of_the_future_does_not_hide_those_of_today() {
    let mut things = vec![Item::new("future", START_MS * 2, "future")];
    let read = |from: &Position, things: &[Item<&'static str>]| {
        let items = things.to_vec();
        Feed::newest_first()
            .read_at(START_MS, from, |_| Ok(Listing { items: items.clone(), next: None }))
            .expect("read")
    };
    let first = read(&Position::Beginning, &things);
    things.push(Item::new("today", START_MS, "today"));
    let second = read(&Position::After(first.cursor), &things);
    assert_eq!(second.items.iter().map(|item| item.event).collect::<Vec<_>>(), ["today"]);
}

#[test]
fn a_crowd_is_refused_aloud_and_a_large_page_is_cut() {
    let crowd = |count: u64| (0..count).map(|id| Item::new(id, START_MS, id)).collect::<Vec<_>>();
    let whole = |count: u64| move |_: &Ask| Ok(Listing { items: crowd(count), next: None });
    let (mut from, mut found) = (Position::Beginning, 0);
    loop {
        let page = Feed::newest_first().read_at(START_MS, &from, whole(4_500)).expect("read");
        assert!(page.items.len() <= 1_000 && page.cursor.len() <= 128 << 10, "{}", page.cursor.len());
        found += page.items.len();
        from = Position::After(page.cursor);
        if !page.more {
            break;
        }
    }
    assert_eq!(found, 4_500);
    let mut outcome = Ok(());
    let mut from = Position::Beginning;
    while outcome.is_ok() {
        outcome = Feed::newest_first().read_at(START_MS, &from, whole(6_000)).map(|page| {
            assert!(page.more, "it must not end as if all were well");
            from = Position::After(page.cursor);
        });
    }
    assert!(matches!(outcome, Err(Error::Permanent(why)) if why.contains("more than 5000")), "refused");
}

#[test]
fn a_cursor_of_somebody_else_is_refused() {
    for text in
        ["", "{}", "7", r#"{"v":2,"floor":0,"newest":0,"seen":""}"#, r#"{"v":1,"floor":0,"newest":0,"seen":"A*"}"#]
    {
        let read = Feed::newest_first()
            .read_at(0, &Position::After(text.to_owned()), |_| Ok(Listing::<()> { items: Vec::new(), next: None }));
        assert!(matches!(read, Err(Error::Permanent(_))), "{text}");
        assert!(Snapshot::read::<()>(&Position::After(text.to_owned()), Vec::new()).is_err(), "{text}");
    }
}

#[test]
fn a_snapshot_tells_what_was_not_there() {
    let items = |ids: &[(&'static str, u64)]| ids.iter().map(|(id, at)| Item::new(id, *at, *id)).collect::<Vec<_>>();
    let found = |page: &Page<&'static str>| page.items.iter().map(|item| item.event).collect::<Vec<_>>();
    let first = Snapshot::read(&Position::Now, items(&[("a", 5)])).expect("read");
    assert!(first.items.is_empty());
    let after = |page: &Page<&'static str>| Position::After(page.cursor.clone());
    let second = Snapshot::read(&after(&first), items(&[("a", 5), ("old", 1), ("b", 5)])).expect("read");
    assert_eq!(found(&second), ["old", "b"], "an old time hides nothing");
    let third = Snapshot::read(&after(&second), items(&[("old", 1), ("b", 5)])).expect("read");
    assert!(third.items.is_empty(), "what has gone is no news");
    let back = Snapshot::read(&after(&third), items(&[("a", 5), ("old", 1), ("b", 5)])).expect("read");
    assert_eq!(found(&back), ["a"]);
    let many: Vec<_> = (0..2_500_u64).map(|id| Item::new(id, 0, id)).collect();
    let (mut from, mut count) = (Position::Beginning, 0);
    for more in [true, true, false] {
        let page = Snapshot::read(&from, many.clone()).expect("read");
        assert_eq!(page.more, more);
        count += page.items.len();
        from = Position::After(page.cursor);
    }
    assert_eq!(count, 2_500);
    let crowd: Vec<_> = (0..10_001_u64).map(|id| Item::new(id, 0, id)).collect();
    assert!(Snapshot::read(&Position::Now, crowd).is_err());
}
