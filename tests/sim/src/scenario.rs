//! What a seed decides before a world begins: how much happens, and what goes wrong.
//!
//! Faults are switched on by seed (swarm testing): a world with three kinds of faults
//! goes deeper into each than one with all of them.

use crate::crash::End;
use crate::dice::Dice;

/// The plan of one world.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Deliveries that remotes send.
    pub(crate) deliveries: u64,
    /// Flows started by hand.
    pub(crate) starts: u64,
    /// Items of the feed.
    pub(crate) items: u64,
    /// How likely a request meets a fault.
    pub(crate) weather: f64,
    /// How likely the account's credential is refused while the weather lasts.
    pub(crate) expiry: f64,
    /// The longest wait for the disk; 0: none.
    pub(crate) disk_ms: u64,
    /// Ends of lives, in order; the last life ends by itself.
    pub(crate) ends: Vec<PlannedEnd>,
    /// A fault of the disk in each life.
    pub(crate) disk_faults: Vec<DiskFault>,
    /// Whether people revoke, approve, publish, pause, cancel and replay.
    pub(crate) people: bool,
    /// Whether somebody sets the clock wrong by a day.
    pub(crate) clock_jumps: bool,
    /// Workers of the host.
    pub(crate) workers: usize,
    /// Runs that may wait.
    pub(crate) queue_max: usize,
    /// Whether rows are lost with the process, as if sled were damaged.
    pub(crate) lose_rows: bool,
}

/// How and when a life ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PlannedEnd {
    /// After so many milliseconds.
    After(u64, End),
    /// At this operation of the disk, counted from the start of the life: power is lost.
    AtDisk(u64),
    /// Before this commit is written.
    BeforeCommit(u64),
    /// After this commit is durable, before it is answered.
    AfterCommit(u64),
}

/// What the disk does besides losing power.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DiskFault {
    /// An I/O error at this operation of the life.
    Error(u64),
    /// Full at this operation of the life, for once.
    Full(u64),
    /// Nothing fits any more from this time on, for so long.
    FullFor(u64, u64),
}

impl Scenario {
    pub(crate) fn of(seed: u64) -> Self {
        let dice = Dice::of(seed, "scenario");
        let lives = dice.between(1, 4);
        Self {
            deliveries: dice.between(4, 14),
            starts: dice.between(0, 3),
            items: dice.between(0, 6),
            weather: dice.pick(&[0.0, 0.05, 0.2, 0.4]),
            expiry: dice.pick(&[0.0, 0.0, 0.1]),
            disk_ms: dice.pick(&[0, 0, 5, 400, 5_000]),
            ends: (1..lives).map(|_| planned_end(&dice)).collect(),
            disk_faults: (0..dice.between(0, 2)).map(|_| disk_fault(&dice)).collect(),
            people: dice.chance(0.5),
            clock_jumps: dice.chance(0.2),
            workers: dice.pick(&[1, 2, 4, 8]),
            queue_max: dice.pick(&[3, 20, 100]),
            lose_rows: dice.chance(0.3),
        }
    }
}

fn planned_end(dice: &Dice) -> PlannedEnd {
    match dice.between(0, 4) {
        0 => PlannedEnd::After(dice.between(1, 40_000), dice.pick(&[End::Kill, End::PowerLoss])),
        1 => PlannedEnd::AtDisk(dice.between(0, 120)),
        2 => PlannedEnd::BeforeCommit(dice.between(1, 60)),
        3 => PlannedEnd::AfterCommit(dice.between(1, 60)),
        _ => PlannedEnd::After(dice.between(1, 40_000), End::Drain),
    }
}

fn disk_fault(dice: &Dice) -> DiskFault {
    match dice.between(0, 2) {
        0 => DiskFault::Error(dice.between(0, 150)),
        1 => DiskFault::Full(dice.between(0, 150)),
        _ => DiskFault::FullFor(dice.between(0, 20_000), dice.between(500, 60_000)),
    }
}
