//! Hosts that break a promise on purpose, to prove that the judge notices.
//!
//! Each is made at a seam (the disk, the store, the clock, the connector, the document,
//! what people hear), so that the code that ships holds no switch for it.

use clap::ValueEnum;

use crate::flows::{Missed, Program, Start, Step, Work};

/// A way to break a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// Commits are answered before they are durable.
    EarlyAnswer,
    /// Now and then a commit is answered and never written.
    LostWrite,
    /// The disk says that it has synced, and has not.
    LyingSync,
    /// A commit is never answered.
    LostWake,
    /// Every attempt of an effect has a key of its own.
    FreshKey,
    /// A broken call is reported as one that never left.
    HiddenEffect,
    /// Two workers perform the same call.
    TwoWorkers,
    /// A failed sync is tried again, and taken for good.
    SyncAgain,
    /// A call that the remote refused is reported as done.
    HiddenFailure,
    /// A condition is taken for its opposite.
    WrongWay,
    /// The clock goes a tenth too fast.
    HastyClock,
    /// After a restart, nobody knows which times started a schedule's flow.
    ForgetsTimes,
    /// Missed times are all made up for.
    OtherPolicy,
    /// An item that a poll finds again is a new one.
    NewItems,
    /// A webhook is left at its service.
    LeftWebhook,
    /// A cancel is acknowledged and not heard.
    DeafToCancel,
    /// An event is acknowledged and not heard.
    DeafToEvent,
    /// A decision is acknowledged and not heard.
    DeafToDecision,
    /// The end of a run never comes to the one that began it.
    DeafToReturn,
    /// A pause is acknowledged and does not hold.
    DeafToPause,
    /// Whoever asks who comes first in a line finds nobody.
    NoLines,
    /// A limit of runs at once is not kept.
    NoLimit,
    /// A run goes on with another version of its flow.
    OtherVersion,
    /// What became of a dead letter is lost.
    LosesLetters,
    /// Lists of ended runs leave some out.
    HidesHistory,
    /// Rows of runs that have ended stay.
    LeavesRows,
}

impl Mutant {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::EarlyAnswer,
        Self::LostWrite,
        Self::LyingSync,
        Self::LostWake,
        Self::FreshKey,
        Self::HiddenEffect,
        Self::TwoWorkers,
        Self::SyncAgain,
        Self::HiddenFailure,
        Self::WrongWay,
        Self::HastyClock,
        Self::ForgetsTimes,
        Self::OtherPolicy,
        Self::NewItems,
        Self::LeftWebhook,
        Self::DeafToCancel,
        Self::DeafToEvent,
        Self::DeafToDecision,
        Self::DeafToReturn,
        Self::DeafToPause,
        Self::NoLines,
        Self::NoLimit,
        Self::OtherVersion,
        Self::LosesLetters,
        Self::HidesHistory,
        Self::LeavesRows,
    ];

    /// A flow as a host takes it that does not do what the document says.
    fn misread(self, program: &Program) -> Program {
        let mut read = program.clone();
        match (self, &mut read.start) {
            (Self::NoLimit, _) => read.most = None,
            (Self::OtherPolicy, Start::Schedule(rhythm)) if rhythm.missed != Missed::All => {
                rhythm.missed = Missed::All;
            }
            (Self::WrongWay, _) => read.steps.iter_mut().for_each(turn),
            _ => {}
        }
        read
    }
}

/// The document of a flow, as the host takes it.
pub(crate) fn document(mutant: Option<Mutant>, program: &Program) -> String {
    mutant.map_or_else(|| program.document(), |mutant| mutant.misread(program).document())
}

fn turn(step: &mut Step) {
    if let Work::If { then, otherwise, .. } = &mut step.work
        && !otherwise.is_empty()
    {
        std::mem::swap(then, otherwise);
    }
}
