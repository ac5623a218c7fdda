//! Holds what the host did against what it promised, from outside.
//!
//! Reads the host's own account (runs, steps, dead letters) beside the remote's, the
//! senders' and the people's, and says every difference that no promise covers.

mod asked;
mod events;
mod letters;
mod lines;
mod times;
mod walk;

use std::collections::BTreeMap;

use engine::{Engine, RunRecord, RunStatus, RunView};
use model::RunId;
use store::{JournalStore, Order, Store as _, Table};

use crate::book::Pages;
use crate::flows::Program;
use crate::people::name;
use crate::remote::Work;
use crate::template::environment;
use crate::world::World;

/// More runs than any world makes.
const RUNS_MAX: usize = 100_000;
/// Tables that have rows in a world at rest: what administrators decided, what senders
/// and people may ask about, and how far triggers are.
const RESTING: [&str; 17] = [
    "vault",
    "plugin",
    "approval",
    "connection",
    "hold",
    "flow",
    "flow-draft",
    "flow-version",
    "dead",
    "dead-settled",
    "seen",
    "duplicates",
    // Of a credential that was replaced since: at most one for each connection.
    "refusal",
    "poll",
    "schedule",
    "connector-state",
    "connector-state-use",
];

/// Everything that there is to judge by.
pub(crate) struct Evidence<'a> {
    world: &'a World,
    runs: Runs,
    /// By run and mark.
    works: BTreeMap<(String, String), Work>,
    book: Pages,
}

/// Every run of a host.
pub(crate) struct Runs {
    views: Vec<RunView>,
    /// What each version of a flow does.
    versions: BTreeMap<(String, u32), Program>,
}

/// Whether everything that was acknowledged is still there.
pub(crate) fn kept(world: &World, engine: &Engine) {
    let acknowledged = world.deliveries.all().into_iter().filter_map(|delivery| delivery.run);
    for run in acknowledged.chain(world.deliveries.told()) {
        if let Err(error) = engine.run_record(&run) {
            world.trace.broken(format!("the acknowledged run {run} is lost: {error}"));
        }
    }
}

/// Judges a world at rest.
pub(crate) fn judge(world: &World, engine: &Engine) {
    kept(world, engine);
    let runs = match Runs::read(world, engine) {
        Ok(runs) => runs,
        Err(error) => return world.trace.broken(error),
    };
    let evidence = Evidence { world, runs, works: world.works.all(), book: world.book.read() };
    evidence.lists(engine);
    evidence.events();
    evidence.times(engine);
    evidence.people();
    evidence.letters();
    evidence.lines();
    for view in &evidence.runs.views {
        evidence.ended(view);
    }
    for (run, mark) in evidence.works.keys() {
        if !evidence.runs.views.iter().any(|view| view.record.id.as_str() == run) {
            world.trace.broken(format!("{mark} was asked for by the run {run}, which nobody knows"));
        }
    }
}

/// Whether a world at rest costs anything but what people may ask about.
pub(crate) fn nothing_is_left(world: &World, store: &JournalStore) {
    let rests = |key: &[u8]| RESTING.iter().any(|name| Table::<()>::new(name).parts(key).is_some());
    for (key, _) in store.scan(b"", None, usize::MAX, Order::Ascending).unwrap_or_default() {
        if !rests(&key) {
            world.trace.broken(format!("everything has ended, and {} is left", key.escape_ascii()));
        }
    }
}

impl Runs {
    /// The runs of one flow, ended or not; none when they cannot be read.
    pub(crate) fn of_flow(engine: &Engine, flow: &str) -> Option<Vec<RunRecord>> {
        engine.runs(Some((&environment(), &name(flow))), None, None, RUNS_MAX).ok()
    }

    fn read(world: &World, engine: &Engine) -> Result<Self, String> {
        let words = |error: engine::EngineError| format!("what happened cannot be read: {error}");
        let mut versions = BTreeMap::new();
        for program in world.flows.iter().filter_map(|versions| versions.first()) {
            for version in engine.flow_versions(&environment(), &name(program.id)).map_err(words)? {
                let variants = world.flows.iter().flatten().filter(|found| found.id == program.id);
                let variant = variants.into_iter().find(|found| world.text(found) == version.document);
                let variant = variant.ok_or_else(|| format!("{} has a version that nobody published", program.id))?;
                versions.insert((program.id.to_owned(), version.version), variant.clone());
            }
        }
        let mut views = Vec::new();
        for record in engine.runs(None, None, None, RUNS_MAX).map_err(words)? {
            views.push(engine.show_run(&record.id).map_err(words)?);
        }
        Ok(Self { views, versions })
    }

    fn program(&self, record: &RunRecord) -> Option<&Program> {
        self.versions.get(&(record.flow.to_string(), record.version))
    }

    fn get(&self, run: &RunId) -> Option<&RunView> {
        self.views.iter().find(|view| view.record.id == *run)
    }

    fn of<'a>(&'a self, flow: &'a str) -> impl Iterator<Item = &'a RunView> {
        self.views.iter().filter(move |view| view.record.flow.as_str() == flow)
    }
}

impl Evidence<'_> {
    fn broken(&self, what: String) {
        self.world.trace.broken(what);
    }

    /// Every ended run is in the lists where people look for it, once.
    fn lists(&self, engine: &Engine) {
        let final_ones = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Ignored, RunStatus::Cancelled];
        let mut acknowledged = self.world.deliveries.told();
        acknowledged.extend(self.world.deliveries.all().into_iter().filter_map(|delivery| delivery.run));
        for status in final_ones {
            let by_status = engine.runs(None, Some(status), None, RUNS_MAX).unwrap_or_default();
            let wanted = self.runs.views.iter().filter(|view| view.record.status == status).count();
            if by_status.len() != wanted {
                self.broken(format!("{wanted} runs {}, and {} are listed", status.as_str(), by_status.len()));
            }
        }
        let effects = self.works.keys().map(|(run, _)| run.as_str());
        for run in acknowledged.iter().map(RunId::as_str).chain(effects) {
            if !self.runs.views.iter().any(|view| view.record.id.as_str() == run) {
                return self.broken(format!("the run {run} is in no list"));
            }
        }
    }

    fn ended(&self, view: &RunView) {
        let record = &view.record;
        let trace = &self.world.trace;
        if !record.status.is_final() {
            return self.broken(format!("run {} never ended: {}", record.id, record.status.as_str()));
        }
        trace.count("runs ended");
        trace.note(format_args!("{} of {} {}", record.id, record.flow, record.status.as_str()));
        trace.count(match record.status {
            RunStatus::Succeeded => "runs that succeeded",
            RunStatus::Failed => "runs that failed",
            RunStatus::Cancelled => "runs that were cancelled",
            RunStatus::Ignored => "runs that were ignored",
            RunStatus::Received | RunStatus::Running | RunStatus::Waiting | RunStatus::NeedsReauthorisation => return,
        });
        match self.runs.program(record) {
            Some(program) => walk::walk(self, view, program),
            None => self.broken(format!("run {} is of {}, version {}", record.id, record.flow, record.version)),
        }
    }

    /// What a call of this run asked for, and how often it took effect.
    fn work(&self, run: &RunId, mark: &str) -> Option<&Work> {
        self.works.get(&(run.to_string(), mark.to_owned()))
    }
}
