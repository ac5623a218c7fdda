//! Whose turn it is: teams take turns, within a team its flows, within a flow its keys.
//!
//! A ring holds lines that have something to take and leave to take it; the rest is
//! looked up by name. So every operation costs the same however many flows there
//! are, and a line that is idle costs nothing. Knows nothing of time and threads.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use model::{Environment, FlowId, Team};

/// Where a run stands in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) flow: Arc<FlowLane>,
    /// The part of the flow that a limit holds for; 0 when it holds for all of it.
    pub(crate) key: u64,
    /// Runs of this key that may be worked on at the same time.
    pub(crate) most: usize,
}

/// A flow as the queue knows it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlowLane {
    pub(crate) environment: Environment,
    pub(crate) flow: FlowId,
    /// Flows without a team share one turn.
    pub(crate) team: Option<Team>,
}

/// Something with turns to give.
trait Line {
    /// Whether something may be taken now.
    fn offers(&self) -> bool;
    /// Whether it may be forgotten.
    fn is_idle(&self) -> bool;
}

/// The jobs of one key, first come first served.
struct Jobs<J> {
    ready: VecDeque<J>,
    working: usize,
    most: usize,
}

impl<J> Line for Jobs<J> {
    fn offers(&self) -> bool {
        self.working < self.most && !self.ready.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.working == 0 && self.ready.is_empty()
    }
}

/// Lines that take turns, and how many of their jobs are worked on together.
struct Ring<K, L> {
    seats: HashMap<K, Seat<L>>,
    turns: VecDeque<K>,
    ready: usize,
    working: usize,
    most: usize,
}

struct Seat<L> {
    line: L,
    in_turn: bool,
}

impl<K, L> Ring<K, L> {
    fn new(most: usize) -> Self {
        Self { seats: HashMap::new(), turns: VecDeque::new(), ready: 0, working: 0, most }
    }

    fn count(&mut self, count: Count) {
        match count {
            Count::Ready => self.ready += 1,
            Count::Begun => self.working += 1,
            Count::Done => self.working -= 1,
        }
    }
}

impl<K: Clone + Eq + Hash, L: Line> Ring<K, L> {
    /// Changes one line, which is made when it is not there.
    fn change<T>(&mut self, key: &K, make: impl FnOnce() -> L, change: impl FnOnce(&mut L) -> T) -> T {
        if !self.seats.contains_key(key) {
            self.seats.insert(key.clone(), Seat { line: make(), in_turn: false });
        }
        let seat = self.seats.get_mut(key).expect("it was put there just now");
        let changed = change(&mut seat.line);
        self.settle(key);
        changed
    }

    /// Takes from the line whose turn it is; it stands behind the others then.
    fn take<T>(&mut self, take: impl Fn(&mut L) -> Option<T>) -> Option<T> {
        if self.working >= self.most {
            return None;
        }
        while let Some(key) = self.turns.pop_front() {
            let Some(seat) = self.seats.get_mut(&key) else { continue };
            seat.in_turn = false;
            let taken = take(&mut seat.line);
            self.settle(&key);
            if taken.is_some() {
                self.ready -= 1;
                self.working += 1;
                return taken;
            }
        }
        None
    }

    fn settle(&mut self, key: &K) {
        let Some(seat) = self.seats.get_mut(key) else { return };
        if !seat.in_turn && seat.line.offers() {
            seat.in_turn = true;
            self.turns.push_back(key.clone());
        } else if !seat.in_turn && seat.line.is_idle() {
            self.seats.remove(key);
        }
    }
}

impl<K, L> Line for Ring<K, L> {
    fn offers(&self) -> bool {
        self.working < self.most && !self.turns.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.working == 0 && self.ready == 0
    }
}

type Keys<J> = Ring<u64, Jobs<J>>;
type Flows<J> = Ring<Arc<FlowLane>, Keys<J>>;

/// How many workers one flow and one team may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) flow: usize,
    pub(crate) team: usize,
}

impl Shares {
    /// Of so many workers a flow leaves a quarter to others and a team an eighth: a
    /// flow whose remote hangs keeps neither its team nor other teams from working.
    pub(crate) fn of(workers: usize) -> Self {
        let all_but = |part: usize| (workers - (workers / part).max(1).min(workers)).max(1);
        Self { flow: all_but(4), team: all_but(8) }
    }
}

/// Every line there is.
pub(crate) struct Lanes<J> {
    teams: Ring<Option<Team>, Flows<J>>,
    shares: Shares,
}

impl<J> Lanes<J> {
    pub(crate) fn new(shares: Shares) -> Self {
        Self { teams: Ring::new(usize::MAX), shares }
    }

    pub(crate) fn ready(&self) -> usize {
        self.teams.ready
    }

    pub(crate) fn working(&self) -> usize {
        self.teams.working
    }

    /// Jobs of this flow that wait for a worker.
    pub(crate) fn ready_of(&self, flow: &Arc<FlowLane>) -> usize {
        let flows = self.teams.seats.get(&flow.team).map(|seat| &seat.line);
        flows.and_then(|flows| flows.seats.get(flow)).map_or(0, |seat| seat.line.ready)
    }

    /// Whether a job may be taken.
    pub(crate) fn offers(&self) -> bool {
        self.teams.offers()
    }

    pub(crate) fn push(&mut self, lane: &Lane, job: J) {
        self.at(lane, Count::Ready, |jobs| jobs.ready.push_back(job));
    }

    /// The job whose turn it is.
    pub(crate) fn take(&mut self) -> Option<J> {
        self.teams.take(|flows| {
            flows.take(|keys| {
                keys.take(|jobs| {
                    let job = if jobs.offers() { jobs.ready.pop_front() } else { None };
                    jobs.working += usize::from(job.is_some());
                    job
                })
            })
        })
    }

    /// Takes a turn for a job that was never in line. False: its key's limit is
    /// reached, or others wait for it.
    pub(crate) fn begin(&mut self, lane: &Lane) -> bool {
        let begins = |jobs: &Jobs<J>| jobs.ready.is_empty() && jobs.working < jobs.most;
        let is_free = self.jobs(lane).is_none_or(begins);
        if is_free {
            self.at(lane, Count::Begun, |jobs| jobs.working += 1);
        }
        is_free
    }

    /// Gives a turn back.
    pub(crate) fn done(&mut self, lane: &Lane) {
        self.at(lane, Count::Done, |jobs| jobs.working -= 1);
    }

    fn jobs(&self, lane: &Lane) -> Option<&Jobs<J>> {
        let flows = &self.teams.seats.get(&lane.flow.team)?.line;
        flows.seats.get(&lane.flow)?.line.seats.get(&lane.key).map(|seat| &seat.line)
    }

    /// Changes one key's jobs and counts the change on the way down.
    fn at(&mut self, lane: &Lane, count: Count, change: impl FnOnce(&mut Jobs<J>)) {
        let shares = self.shares;
        let make = || Jobs { ready: VecDeque::new(), working: 0, most: lane.most };
        let change = |jobs: &mut Jobs<J>| {
            jobs.most = lane.most;
            change(jobs);
        };
        self.teams.count(count);
        let flows = |flows: &mut Flows<J>| {
            flows.count(count);
            let keys = |keys: &mut Keys<J>| {
                keys.count(count);
                keys.change(&lane.key, make, change);
            };
            flows.change(&lane.flow, || Ring::new(shares.flow), keys);
        };
        self.teams.change(&lane.flow.team, || Ring::new(shares.team), flows);
    }
}

/// What a change adds to the counts of every ring above it.
#[derive(Debug, Clone, Copy)]
enum Count {
    Ready,
    Begun,
    Done,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(team: Option<&str>, flow: &str, key: u64, most: usize) -> Lane {
        let flow = FlowLane {
            environment: "test".parse().expect("a name"),
            flow: flow.parse().expect("a name"),
            team: team.map(|team| team.parse().expect("a name")),
        };
        Lane { flow: Arc::new(flow), key, most }
    }

    /// Pushes jobs named after their lane and takes `takes`, each done at once.
    fn served(lanes: &[(&Lane, usize)], takes: usize) -> HashMap<String, usize> {
        let mut line = Lanes::new(Shares::of(32));
        for (lane, count) in lanes {
            (0..*count).for_each(|_| line.push(lane, (*lane).clone()));
        }
        let mut served = HashMap::new();
        for _ in 0..takes {
            let lane = line.take().expect("a job");
            *served.entry(lane.flow.flow.to_string()).or_default() += 1;
            line.done(&lane);
        }
        served
    }

    #[test]
    fn a_noisy_flow_takes_turns_with_quiet_ones() {
        let (noisy, quiet) = (lane(None, "noisy", 0, usize::MAX), lane(None, "quiet", 0, usize::MAX));
        let counts = served(&[(&noisy, 10_000), (&quiet, 10)], 20);
        assert_eq!((counts["noisy"], counts["quiet"]), (10, 10));
    }

    #[test]
    fn a_team_of_many_flows_takes_turns_with_a_team_of_one() {
        let many: Vec<Lane> = (0..50).map(|n| lane(Some("many"), &format!("flow-{n}"), 0, usize::MAX)).collect();
        let single = lane(Some("single"), "alone", 0, usize::MAX);
        let mut lanes: Vec<(&Lane, usize)> = many.iter().map(|lane| (lane, 100)).collect();
        lanes.push((&single, 60));
        let counts = served(&lanes, 100);
        assert_eq!(counts["alone"], 50);
        assert!((0..50).all(|n| counts[&format!("flow-{n}")] == 1), "{counts:?}");
    }

    #[test]
    fn a_flow_whose_calls_hang_leaves_workers_to_its_team_and_to_others() {
        let shares = Shares::of(28);
        assert_eq!(shares, Shares { flow: 21, team: 25 });
        let mut line = Lanes::new(shares);
        let hangs = [lane(Some("a"), "first", 0, usize::MAX), lane(Some("a"), "second", 0, usize::MAX)];
        let other = lane(Some("b"), "other", 0, usize::MAX);
        (0..1_000).for_each(|n| line.push(&hangs[n % 2], "hangs"));
        let mut under_way = 0;
        while line.working() < 28 && line.take().is_some() {
            under_way += 1;
        }
        assert_eq!(under_way, 25, "a team leaves an eighth");
        line.push(&other, "other");
        assert_eq!(line.take(), Some("other"));
        line.done(&hangs[0]);
        assert_eq!(line.take(), Some("hangs"), "what one of its runs gives back, another takes");
    }

    #[test]
    fn a_limit_holds_for_its_key_and_the_others_go_past() {
        let mut line = Lanes::new(Shares::of(32));
        let (one, two) = (lane(None, "flow", 1, 1), lane(None, "flow", 2, 1));
        line.push(&one, "one, first");
        line.push(&one, "one, second");
        line.push(&two, "two");
        assert_eq!((line.take(), line.take(), line.take()), (Some("one, first"), Some("two"), None));
        assert!(!line.offers() && !line.begin(&two) && !line.begin(&one));
        line.done(&one);
        assert_eq!((line.take(), line.take()), (Some("one, second"), None));
    }

    #[test]
    fn idle_lines_cost_nothing() {
        let mut line = Lanes::new(Shares::of(32));
        for key in 0..10_000 {
            let lane = lane(None, &format!("flow-{}", key % 100), key, 1);
            line.push(&lane, lane.clone());
            let lane = line.take().expect("a job");
            line.done(&lane);
        }
        assert_eq!((line.ready(), line.working(), line.teams.seats.len()), (0, 0, 0));
    }

    #[test]
    fn whatever_happens_the_counts_agree() {
        let mut line = Lanes::new(Shares::of(8));
        let (mut waiting, mut under_way, mut chance) = (0usize, Vec::new(), 1u64);
        for _ in 0..20_000 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let drawn = chance >> 33;
            let team = ["a", "b", "c"][usize::try_from(drawn % 3).expect("small")];
            let lane = lane(Some(team), &format!("flow-{}", drawn % 7), drawn % 5, 2);
            match drawn % 4 {
                0 | 1 => {
                    line.push(&lane, lane.clone());
                    waiting += 1;
                }
                2 if line.working() < 8 => {
                    if let Some(lane) = line.take() {
                        waiting -= 1;
                        under_way.push(lane);
                    }
                }
                _ => {
                    if let Some(lane) = under_way.pop() {
                        line.done(&lane);
                    }
                }
            }
            assert_eq!((line.ready(), line.working()), (waiting, under_way.len()));
        }
        while let Some(lane) = under_way.pop().or_else(|| line.take().inspect(|_| waiting -= 1)) {
            line.done(&lane);
        }
        assert_eq!((line.ready(), waiting, line.teams.seats.len()), (0, 0, 0), "nothing is left behind");
    }
}
