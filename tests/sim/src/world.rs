//! One world from beginning to end: lives of the host, one after another, over one disk.
//!
//! Each life has a runtime of its own; ending it drops every task where it stands, as a
//! kill does. What outlives a life is here: disk, clock, remote, senders, the story.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use store::{JournalStore, MemoryRows, OpenError, Options, Order, ReadError, Store as _};
use testkit::SimDisk;

use crate::book::Book;
use crate::clock::{BEGIN_MS, SimClock};
use crate::crash::{End, Switch};
use crate::dice::Dice;
use crate::disk;
use crate::flows::{self, Program};
use crate::life::{self, Ending};
use crate::mutant::{self, Mutant};
use crate::remote::Works;
use crate::scenario::Scenario;
use crate::senders::Deliveries;
use crate::template::Template;
use crate::trace::Trace;

/// More lives than a scenario can end: each planned end and each fault of the disk
/// costs one, and opening meets the same fault at most twice.
const LIVES_MAX: u64 = 16;

/// What outlives the host's process.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) scenario: Scenario,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) switch: Switch,
    pub(crate) trace: Trace,
    pub(crate) works: Arc<Works>,
    pub(crate) deliveries: Deliveries,
    /// Every flow, with all its versions.
    pub(crate) flows: Vec<Vec<Program>>,
    /// What people asked and were told.
    pub(crate) book: Book,
    machine: Mutex<Machine>,
    dice: Dice,
    calm: AtomicBool,
}

/// The hardware.
#[derive(Clone)]
struct Machine {
    disk: SimDisk,
    rows: MemoryRows,
}

/// What became of a world.
#[derive(Debug, Clone)]
pub struct Lived {
    /// What decided everything.
    pub seed: u64,
    /// Two worlds of one seed and one program have the same.
    pub hash: u64,
    /// Runs that ended.
    pub runs: u64,
    /// How often each fault and outcome came up.
    pub counts: BTreeMap<&'static str, u64>,
    /// Broken promises, in words.
    pub broken: Vec<String>,
}

/// Every row of a store.
pub(crate) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Lives through the world of a seed; `aloud` tells it line by line.
pub fn live(seed: u64, template: &Template, mutant: Option<Mutant>, aloud: bool) -> Lived {
    let world = Arc::new(World::new(seed, template, mutant, aloud));
    let mut life = 0;
    while !world.trace.is_broken() {
        let ending = life_of(&world, template, life);
        life += 1;
        match ending {
            Ending::Settled(rows) => {
                world.check_reopened(&rows);
                break;
            }
            Ending::Down(end) => world.recover_from(end),
            Ending::NotOpened(reason) => world.not_opened(&reason),
        }
        if life == LIVES_MAX {
            world.trace.broken(format!("the host does not settle in {LIVES_MAX} lives"));
            break;
        }
    }
    let story = world.trace.to_story();
    let runs = story.counts.get("runs ended").copied().unwrap_or(0);
    Lived { seed, hash: story.hash, runs, counts: story.counts, broken: story.broken }
}

fn life_of(world: &Arc<World>, template: &Template, life: u64) -> Ending {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time();
    #[cfg(feature = "paused")]
    runtime.start_paused(true);
    let runtime = runtime.build().expect("a runtime needs no more than memory");
    runtime.block_on(async {
        let ending = life::live(world, template, life).await;
        world.clock.end();
        ending
    })
}

impl World {
    fn new(seed: u64, template: &Template, mutant: Option<Mutant>, aloud: bool) -> Self {
        let clock = Arc::new(SimClock::new(seed, mutant));
        let scenario = Scenario::of(seed);
        let flows = flows::draw(seed, scenario.clock_jumps);
        let trace = Trace::new(clock.clone(), aloud);
        trace.note(format_args!("{scenario:?}"));
        let kinds = flows.iter().filter_map(|versions| versions.first()).flat_map(Program::kinds);
        kinds.for_each(|kind| trace.count(kind));
        let first = flows.iter().filter_map(|versions| versions.first());
        let documents: Vec<String> = first.map(|program| mutant::document(mutant, program)).collect();
        let disk = template.disk(seed, &documents).unwrap_or_else(|error| {
            trace.broken(format!("the flows cannot be published: {error}"));
            SimDisk::new(seed)
        });
        Self {
            seed,
            mutant,
            works: Arc::new(Works::new(seed, scenario.items, BEGIN_MS)),
            deliveries: Deliveries::of(seed, &scenario, &flows),
            flows,
            book: Book::default(),
            scenario,
            trace,
            clock,
            switch: Switch::default(),
            machine: Mutex::new(Machine { disk, rows: MemoryRows::new() }),
            dice: Dice::of(seed, "world"),
            calm: AtomicBool::new(false),
        }
    }

    fn machine(&self) -> Machine {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change_machine(&self, change: impl FnOnce(&mut Machine)) {
        change(&mut self.machine.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The disk of today.
    pub(crate) fn disk(&self) -> SimDisk {
        self.machine().disk
    }

    /// The store on the disk of today.
    pub(crate) fn open_store(&self) -> Result<JournalStore, OpenError> {
        let Machine { disk, rows } = self.machine();
        JournalStore::open_on(disk::seen(&disk, self.mutant), rows, options())
    }

    /// The document of a version, as this world's host takes it.
    pub(crate) fn text(&self, program: &Program) -> String {
        mutant::document(self.mutant, program)
    }

    /// Whether the world has come to rest: no fault is made any more.
    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    /// From now on everything works.
    pub(crate) fn be_calm(&self) {
        self.calm.store(true, Ordering::SeqCst);
        self.clock.set_wrong(0);
    }

    fn recover_from(&self, end: End) {
        self.trace.note(format_args!("down: {end:?}"));
        self.works.hang_up();
        self.trace.count(match end {
            End::Kill => "kills",
            End::PowerLoss => "power losses",
            End::Drain => "clean stops",
        });
        // Mostly it is started again at once; now and then nobody is there.
        let away_ms = self.dice.pick(&[5_000, 5_000, 5_000, 15 * 60_000]);
        self.clock.pass(self.dice.between(0, away_ms));
        let (lost_rows, chance) = (self.scenario.lose_rows, self.dice.number());
        self.change_machine(|machine| {
            if end == End::PowerLoss {
                machine.disk = machine.disk.after_power_loss(chance);
            }
            machine.disk.set_capacity(u64::MAX);
            if lost_rows {
                machine.rows = MemoryRows::new();
            }
        });
    }

    /// A fault of the disk may meet the opening itself; the next try finds it gone.
    fn not_opened(&self, reason: &str) {
        self.trace.count("openings that met a fault");
        self.trace.note(format_args!("not opened: {reason}"));
        let end = self.end_as_found();
        let seen = self.deliveries.note_not_opened();
        if seen > self.scenario.disk_faults.len() + self.scenario.ends.len() {
            self.trace.broken(format!("the store does not open: {reason}"));
        }
        self.recover_from(end);
    }

    /// How a life ended that nobody ended, as the disk tells it.
    fn end_as_found(&self) -> End {
        if self.power_is_off() { End::PowerLoss } else { End::Kill }
    }

    /// Whether the disk has lost its power.
    pub(crate) fn power_is_off(&self) -> bool {
        use store::Disk as _;
        self.disk().list().is_err()
    }

    /// What a process and a machine that start again would find: the same rows, also
    /// when everything behind the journal is gone.
    fn check_reopened(&self, rows: &Rows) {
        self.disk().forgive();
        // Power may have gone while the last life put its store away.
        self.recover_from(self.end_as_found());
        self.check_rows("after a restart", rows);
        self.change_machine(|machine| {
            machine.disk = machine.disk.after_power_loss(self.seed);
            machine.rows = MemoryRows::new();
        });
        self.check_rows("rebuilt from the journal after a power loss", rows);
    }

    fn check_rows(&self, when: &str, wanted: &Rows) {
        match self.open_store().map_err(|error| error.to_string()).and_then(|store| all_rows(&store)) {
            Ok(found) if found == *wanted => {}
            Ok(found) => self.trace.broken(format!("{when}: {}", difference(wanted, &found))),
            Err(error) => self.trace.broken(format!("{when}: {error}")),
        }
    }
}

/// Small segments, so that they roll; nothing is kept free, since fullness is a fault
/// of its own here; every commit is over when its call returns.
pub(crate) fn options() -> Options {
    Options {
        segment_bytes: 24 << 10,
        inline_bytes_max: 256,
        behind_bytes: 8 << 10,
        free_bytes_min: 0,
        stepped: true,
        ..Options::default()
    }
}

/// Everything a store holds: its rows, then those of its history under their document.
pub(crate) fn all_rows(store: &JournalStore) -> Result<Rows, String> {
    read_rows(store).map_err(|error| error.to_string())
}

fn read_rows(store: &JournalStore) -> Result<Rows, ReadError> {
    let rows = store.scan(b"", None, usize::MAX, Order::Ascending)?;
    let mut found: Rows = rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    for (id, document) in store.history(None, None, usize::MAX, Order::Ascending)? {
        let rows = store.document(&document, b"")?;
        found.extend(rows.into_iter().map(|(key, value)| ([&id[..], &key[..]].concat(), value.to_vec())));
    }
    Ok(found)
}

fn difference(wanted: &Rows, found: &Rows) -> String {
    let missing = wanted.iter().find(|row| !found.contains(row));
    let added = found.iter().find(|row| !wanted.contains(row));
    let shown = |row: Option<&(Vec<u8>, Vec<u8>)>| {
        row.map_or_else(|| "nothing".to_owned(), |(key, _)| key.escape_ascii().to_string())
    };
    format!("{} is missing or other, {} was not there", shown(missing), shown(added))
}
