//! Rows of figures: how they are taken, printed and kept.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// One measured row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// `S1`, `E1 at 16`, ...
    pub(crate) id: String,
    /// What is measured, and against what.
    pub(crate) what: String,
    /// Ours, in `unit`.
    pub(crate) ours: f64,
    /// The reference, in `unit`; none where the target is absolute.
    pub(crate) reference: Option<f64>,
    /// Of both.
    pub(crate) unit: String,
    /// Ours by the reference: the median of the rounds' ratios.
    pub(crate) ratio: Option<f64>,
    /// In words.
    pub(crate) target: String,
    /// Whether it is met.
    pub(crate) met: bool,
    /// How many rounds.
    pub(crate) rounds: usize,
}

/// Rounds of ours and the reference in turn.
pub(crate) const ROUNDS: usize = 7;

/// What rounds gave.
pub(crate) struct Rounds {
    pub(crate) ours: f64,
    pub(crate) reference: f64,
    pub(crate) ratio: f64,
}

/// Runs both in turn, a round to warm up first, and takes medians.
pub(crate) fn alternate(
    mut ours: impl FnMut() -> Result<f64>,
    mut reference: impl FnMut() -> Result<f64>,
) -> Result<Rounds> {
    let (mut all_ours, mut all_references, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        // Who goes first changes, so that a drift of the machine favours neither.
        let (a, b) = if round % 2 == 0 {
            let a = ours()?;
            (a, reference()?)
        } else {
            let b = reference()?;
            (ours()?, b)
        };
        if round > 0 {
            all_ours.push(a);
            all_references.push(b);
            ratios.push(a / b);
        }
    }
    Ok(Rounds { ours: median(&mut all_ours), reference: median(&mut all_references), ratio: median(&mut ratios) })
}

/// The middle value.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds that it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let begun = Instant::now();
    let made = work()?;
    Ok((made, seconds(begun.elapsed())))
}

/// A runtime with so many workers, as the host's.
pub(crate) fn runtime(workers: usize) -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?)
}

/// Workers of the host that is served: twice as many as processors.
pub(crate) fn host_workers() -> usize {
    2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How often a second it is done by so many tasks on the runtime's workers, each of
/// which does it `each` times.
pub(crate) fn rate<F>(
    runtime: &Runtime,
    tasks: u32,
    each: u32,
    once: impl Fn() -> F + Clone + Send + 'static,
) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send,
{
    let work = async {
        let mut working = JoinSet::new();
        for _ in 0..tasks {
            let once = once.clone();
            working.spawn(async move {
                for _ in 0..each {
                    once().await?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        working.join_all().await.into_iter().collect::<Result<()>>()
    };
    let ((), seconds) = timed(|| runtime.block_on(work))?;
    Ok(f64::from(tasks * each) / seconds)
}

/// As a number.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Keeps the rows of one part as JSON.
pub(crate) fn write(target: &Path, part: &str, rows: &[Row]) -> Result<()> {
    let folder = target.join("bench");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{part}.json")), serde_json::to_vec_pretty(rows)?)?;
    Ok(())
}

/// Prints the head of the table.
pub(crate) fn print_head() {
    println!("{:<16} {:>12} {:>12} {:<8} {:>6}  target", "row", "ours", "reference", "unit", "ratio");
}

/// Prints rows of the table.
pub(crate) fn print(rows: &[Row]) {
    for row in rows {
        let reference = row.reference.map_or_else(|| "-".to_owned(), figure);
        let ratio = row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let met = if row.met { "met" } else { "NOT MET" };
        println!(
            "{:<16} {:>12} {:>12} {:<8} {:>6}  {:<28} {met}",
            row.id,
            figure(row.ours),
            reference,
            row.unit,
            ratio,
            row.target
        );
        println!("                 {}", row.what);
    }
}

fn figure(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
